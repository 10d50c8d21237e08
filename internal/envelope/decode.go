package envelope

// Decode parses a whole body. It allocates once: all strings are slices of one
// copy of the body, so f may be kept and body reused. On error f is unchanged.
func Decode(body []byte, f *Fields) error {
	var l layout
	if err := l.scan(body); err != nil {
		return err
	}
	if l.badNumber != 0 {
		return Error{KindNumber, int(l.badNumber)}
	}
	s := string(body)
	f.Table = s[l.text[fieldTable].start:l.text[fieldTable].end]
	f.Key = s[l.text[fieldKey].start:l.text[fieldKey].end]
	f.Action = s[l.text[fieldAction].start:l.text[fieldAction].end]
	f.Value = s[l.text[fieldValue].start:l.text[fieldValue].end]
	f.Topic = s[l.text[fieldTopic].start:l.text[fieldTopic].end]
	f.Null = l.null
	f.Epoch, f.Seq = l.epoch, l.seq
	f.Version, f.HasVersion = l.version, l.has(fieldVersion)
	return nil
}

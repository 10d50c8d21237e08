package wyvern

import "encoding/json"

// eventJSON is the JSON form of an Event.
type eventJSON struct {
	Table     *string `json:"table"`
	Key       *string `json:"key"`
	Action    *string `json:"action"`
	Value     *string `json:"value"`
	Topic     *string `json:"topic"`
	Version   uint64  `json:"version,omitempty"`
	Publisher string  `json:"publisher,omitempty"`
	Epoch     uint64  `json:"epoch,omitempty"`
	Seq       uint64  `json:"seq,omitempty"`
	Reason    Reason  `json:"reason,omitempty"`
}

// MarshalJSON returns an object with the fields in lower case. The first five
// are always there, null or text; the others when they say something. The topic
// is the event's, even where the body's is nil.
func (e Event) MarshalJSON() ([]byte, error) {
	text := func(s *string, f Field) *string {
		if *s == "" && e.IsNull(f) {
			return nil
		}
		return s
	}
	j := eventJSON{
		Table: text(&e.Table, FieldTable), Key: text(&e.Key, FieldKey),
		Action: &e.Action, Value: text(&e.Value, FieldValue),
		Version: e.Version, Publisher: e.Publisher, Epoch: e.Epoch, Seq: e.Seq, Reason: e.Reason,
	}
	if e.Topic != "" {
		j.Topic = &e.Topic
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads the same. Fields that are absent are null, and those
// that it doesn't know are ignored. It does not judge: Publish does.
func (e *Event) UnmarshalJSON(data []byte) error {
	var j eventJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*e = Event{Version: j.Version, Publisher: j.Publisher, Epoch: j.Epoch, Seq: j.Seq, Reason: j.Reason}
	for _, t := range []struct {
		from  *string
		to    *string
		field Field
	}{
		{j.Table, &e.Table, FieldTable},
		{j.Key, &e.Key, FieldKey},
		{j.Action, &e.Action, FieldAction},
		{j.Value, &e.Value, FieldValue},
		{j.Topic, &e.Topic, 0}, // the event's, not the body's
	} {
		if t.from != nil {
			*t.to = *t.from
			e.SetNull(t.field, *t.from != "")
		}
	}
	return nil
}

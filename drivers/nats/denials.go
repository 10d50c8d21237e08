package nats

import "time"

// maxDenied is how many subjects are remembered to be denied.
const maxDenied = 1 << 12

// denials are the subjects that a server does not permit us to use, as far as is
// known. After a while each may be tried again: permissions are changed without
// a word to us. It is for one goroutine at a time.
type denials struct {
	after    time.Duration
	subjects map[string]denial
}

type denial struct {
	err   error
	until time.Time
}

func newDenials(s *settings) denials {
	return denials{s.cfg.ReconnectMax, make(map[string]denial)}
}

func (d *denials) add(subject string, err error) {
	if len(d.subjects) >= maxDenied {
		d.clear()
	}
	d.subjects[subject] = denial{err, time.Now().Add(d.after)}
}

// of returns why a subject is denied; nil: it isn't, or may be tried.
func (d *denials) of(subject string) error {
	if len(d.subjects) == 0 {
		return nil
	}
	one, known := d.subjects[subject]
	switch {
	case !known:
		return nil
	case time.Now().After(one.until):
		delete(d.subjects, subject)
		return nil
	}
	return one.err
}

func (d *denials) clear() { clear(d.subjects) }

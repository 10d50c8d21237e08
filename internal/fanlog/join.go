package fanlog

// Join is Attach, and returns a function that ends the session. That may be
// called at any time, from anywhere, and does not wait.
func (f *Fanout) Join(fd int, h Handler, greeting []byte) (end func(reason error)) {
	l := f.loops[int(f.next.Add(1))%len(f.loops)]
	var s *Session // the loop's
	if !l.post(func() {
		l.attach(fd, h, greeting)
		s = l.sessions[fd]
	}) {
		refuse(fd, h)
	}
	return func(reason error) {
		l.post(func() {
			if s != nil {
				l.close(s, reason)
			}
		})
	}
}

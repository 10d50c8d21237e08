package service

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// The state file says how the last instance ended, in its first line. After
// stateSaved comes what it handed over.
const (
	stateRunning = "wyvern state running\n"
	stateSaved   = "wyvern state saved\n"
)

// stateAge is how old a hand-over may be: a restart takes seconds. An older one
// is of another time, or the clock was set.
const stateAge = 15 * time.Minute

// state is the file by which an instance hands over to the next one of the same
// publisher. Publishing never depends on it: without it, or when it can't be
// used, the service begins a new epoch, and subscribers are told to resync.
type state struct {
	path string
}

// lastEnd is how the last instance ended.
type lastEnd struct {
	crashed bool
	saved   io.ReadCloser // what it handed over; nil: nothing
}

// read says how the last instance ended. An error means that it can't be known.
func (s state) read() (lastEnd, error) {
	if s.path == "" {
		return lastEnd{}, nil
	}
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return lastEnd{}, nil
	}
	if err != nil {
		return lastEnd{crashed: true}, err
	}
	in := bufio.NewReaderSize(f, 64<<10)
	line, err := in.ReadString('\n')
	switch {
	case line == stateRunning:
		f.Close()
		return lastEnd{crashed: true}, nil
	case line == stateSaved:
	default:
		f.Close()
		return lastEnd{crashed: true}, errors.Join(errors.New("not a state file of this version"), ignoreEOF(err))
	}
	info, err := f.Stat()
	if err == nil {
		if age := time.Since(info.ModTime()); age > stateAge || age < -time.Minute {
			err = fmt.Errorf("the hand-over is %v old", age.Round(time.Second))
		}
	}
	if err != nil {
		f.Close()
		return lastEnd{crashed: true}, err
	}
	return lastEnd{saved: readCloser{in, f}}, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

type readCloser struct {
	io.Reader
	io.Closer
}

// running notes that an instance runs. From its return on a hand-over that was
// there can't be used again, or it returns an error.
func (s state) running() error {
	if s.path == "" || plant.On(plant.StateUsedTwice) {
		return nil
	}
	err := s.replace(func(w io.Writer) error {
		_, err := io.WriteString(w, stateRunning)
		return err
	})
	if err != nil {
		// No room for a new file does not mean that the old one must stay.
		if gone := os.Remove(s.path); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			return errors.Join(err, gone)
		}
	}
	return nil
}

// save leaves a hand-over.
func (s state) save(write func(io.Writer) error) error {
	if s.path == "" {
		return nil
	}
	return s.replace(func(w io.Writer) error {
		if _, err := io.WriteString(w, stateSaved); err != nil {
			return err
		}
		return write(w)
	})
}

// replace writes a new file in place of the old one, at once or not at all.
// Nothing is synced to a disk: what survives the end of the process is enough.
func (s state) replace(write func(io.Writer) error) error {
	tmp := s.path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = write(f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp, s.path)
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}

package life

import (
	"io/fs"
	"time"

	"meltwatch/agent/outbox"
	"meltwatch/durable"
	"meltwatch/durable/crashfs"
)

// storage is the box's disk: power cuts lose what was not synced, and now and
// then it refuses.
type storage struct {
	*crashfs.Disk
	writes error // what writing answers, nil while well
	reads  error
	unread time.Time // when a read was last refused
	// forgetful is a planted bug: the fsync of a segment is left out.
	forgetful bool
}

func (s *storage) Read(name string, most int64) ([]byte, error) {
	if s.reads != nil {
		s.unread = time.Now()
		return nil, &fs.PathError{Op: "read", Path: name, Err: s.reads}
	}
	return s.Disk.Read(name, most)
}

func (s *storage) Create(name string) (durable.File, error) {
	if s.writes != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: s.writes}
	}
	file, err := s.Disk.Create(name)
	return &storedFile{file, s, name}, err
}

func (s *storage) Extend(name string, size int64) (durable.File, error) {
	if s.writes != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: s.writes}
	}
	file, err := s.Disk.Extend(name, size)
	return &storedFile{file, s, name}, err
}

type storedFile struct {
	durable.File
	storage *storage
	name    string
}

// Write writes a part before it refuses, as a disk does that fills up.
func (f *storedFile) Write(data []byte) (int, error) {
	if f.storage.writes == nil {
		return f.File.Write(data)
	}
	n, err := f.File.Write(data[:len(data)/2])
	if err == nil {
		err = f.storage.writes
	}
	return n, err
}

func (f *storedFile) Sync() error {
	if f.storage.writes != nil {
		return f.storage.writes
	}
	if f.storage.forgetful && f.name != "cursor.new" {
		return nil
	}
	return f.File.Sync()
}

// kept is the outbox as the publisher sees it. It notes what is promised.
type kept struct {
	*outbox.Log
	book    *book
	storage *storage
	// refusing is since when the disk refuses, zero while it does not.
	refusing time.Time
	unsure   []*entry // appended, durable with the next Sync
	// silent is a planted bug: what the outbox dropped is not counted.
	silent bool
}

func (k *kept) Append(class string, payload []byte) uint64 {
	number := k.Log.Append(class, payload)
	if number == 0 {
		k.book.violated("outbox refused %s: %.200s", class, payload)
	}
	e, _ := k.book.find(class, payload)
	if class == outbox.Event && k.well() {
		e.promised = true
	} else {
		k.unsure = append(k.unsure, e)
	}
	return number
}

func (k *kept) Sync() {
	k.Log.Sync()
	if !k.well() {
		return
	}
	for _, e := range k.unsure {
		e.promised = true
	}
	k.unsure = k.unsure[:0]
}

func (k *kept) well() bool { return k.refusing.IsZero() && !k.storage.PowerOff }

func (k *kept) Counters() map[string]uint64 {
	counters := k.Log.Counters()
	if k.silent {
		for _, class := range []string{outbox.Event, outbox.State, outbox.Current} {
			counters["dropped_"+class] = 0
		}
	}
	return counters
}

// The kept outbox is its own observer.

func (k *kept) Beat() {}
func (k *kept) OK()   { k.refusing = time.Time{} }
func (k *kept) Fault(error) {
	if k.refusing.IsZero() {
		k.refusing = time.Now()
	}
}

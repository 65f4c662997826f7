package simtest

import (
	"io/fs"
	"time"

	"meltwatch/agent/delivery"
	"meltwatch/agent/message"
	"meltwatch/agent/outbox"
	"meltwatch/durable"
	"meltwatch/durable/crashfs"
)

// storage is the box's disk: power cuts lose unsynced changes, and at times it fails.
type storage struct {
	*crashfs.Disk
	writes error // the error of writes; nil without a fault
	reads  error
	unread time.Time // when a read last failed
	// forgetful is a planted bug: the fsync of a segment is omitted.
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

// Write writes a part before it fails, like a disk that fills up.
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

// promises wraps the outbox for the publisher, and records which records are
// guaranteed.
type promises struct {
	delivery.Outbox
	process *process
	unsure  []*entry // appended, durable with the next Sync
	// silent is a planted bug: dropped records are not counted.
	silent bool
}

func (p *promises) Append(class string, payload []byte) uint64 {
	number := p.Outbox.Append(class, payload)
	if number == 0 {
		p.process.violated("outbox refused %s: %.200s", class, payload)
	}
	e, _ := p.process.records.find(message.Class(class), payload)
	if class == outbox.Event && p.process.well() {
		e.Note.promised = true
	} else {
		p.unsure = append(p.unsure, e)
	}
	return number
}

func (p *promises) Sync() {
	p.Outbox.Sync()
	if !p.process.well() {
		return
	}
	for _, e := range p.unsure {
		e.Note.promised = true
	}
	p.unsure = p.unsure[:0]
}

func (p *promises) Counters() map[string]uint64 {
	counters := p.Outbox.Counters()
	if p.silent {
		for _, class := range []string{outbox.Event, outbox.State, outbox.Current} {
			counters["dropped_"+class] = 0
		}
	}
	return counters
}

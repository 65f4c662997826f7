package outbox

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"time"
)

// cutDisk is a disk in memory whose power fails at a chosen operation. What was
// not synced then survives in part: each write on its own, whole, torn or as
// zeros, and each change of a folder on its own. That is as hostile as POSIX
// allows a file system to be, and more than a journalling one is.
type cutDisk struct {
	names   map[string]*inode // as a program sees it
	durable map[string]*inode // as it lies on the disk
	pending []change          // of names, not yet durable

	operations int
	cutAt      int // the operation at which power fails; −1 for never
	dead       bool
}

type inode struct {
	seen    []byte
	durable []byte
	pending []write
	at      time.Time
}

// write puts data at an offset; with cut it ends the file there first.
type write struct {
	offset int
	data   []byte
	cut    bool
}

func (w write) apply(b []byte) []byte {
	if w.cut && len(b) > w.offset {
		b = b[:w.offset]
	}
	if need := w.offset + len(w.data); len(b) < need && len(w.data) > 0 {
		b = append(b, make([]byte, need-len(b))...)
	}
	copy(b[min(w.offset, len(b)):], w.data)
	return b
}

// change gives a name to an inode; from is the name it had, file nil removes.
type change struct {
	folder, from, name string
	file               *inode
}

func (c change) apply(names map[string]*inode) {
	switch {
	case c.file == nil:
		delete(names, c.name)
	case c.from != "" && names[c.from] != c.file:
		// The file that it renames never came to be.
	default:
		delete(names, c.from)
		names[c.name] = c.file
	}
}

var errPower = errors.New("power failed")

func newCutDisk(cutAt int) *cutDisk {
	return &cutDisk{names: map[string]*inode{}, durable: map[string]*inode{}, cutAt: cutAt}
}

// step counts an operation; it fails from the cut on.
func (d *cutDisk) step() error {
	if d.operations == d.cutAt {
		d.dead = true
	}
	d.operations++
	if d.dead {
		return errPower
	}
	return nil
}

func (d *cutDisk) rename(c change) error {
	if d.dead {
		return errPower
	}
	c.folder = path.Dir(c.name)
	c.apply(d.names)
	d.pending = append(d.pending, c) // it may have reached the disk though power fails
	return d.step()
}

func (d *cutDisk) List(folder string) (entries []Entry, err error) {
	for name, file := range d.names {
		if path.Dir(name) == folder {
			entries = append(entries, Entry{path.Base(name), int64(len(file.seen)), file.at})
		}
	}
	return entries, nil
}

func (d *cutDisk) Read(name string, most int64) ([]byte, error) {
	file := d.names[name]
	if file == nil {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(file.seen[:min(len(file.seen), int(most))]), nil
}

func (d *cutDisk) Create(name string) (File, error) {
	file := d.names[name]
	if file == nil {
		file = &inode{at: time.Now()}
		if err := d.rename(change{name: name, file: file}); err != nil {
			return nil, err
		}
	}
	return d.Extend(name, 0)
}

func (d *cutDisk) Extend(name string, size int64) (File, error) {
	if d.dead {
		return nil, errPower
	}
	f := &cutFile{d, d.names[name]}
	return f, f.put(write{offset: int(size), cut: true})
}

func (d *cutDisk) Rename(from, to string) error {
	return d.rename(change{from: from, name: to, file: d.names[from]})
}

func (d *cutDisk) Remove(name string) error { return d.rename(change{name: name}) }

func (d *cutDisk) MakeFolder(string) error { return nil }

func (d *cutDisk) SyncFolder(folder string) error {
	if err := d.step(); err != nil {
		return err
	}
	d.pending = slices.DeleteFunc(d.pending, func(c change) bool {
		if c.folder != folder {
			return false
		}
		c.apply(d.durable)
		return true
	})
	return nil
}

type cutFile struct {
	disk *cutDisk
	file *inode
}

func (f *cutFile) put(w write) error {
	f.file.seen = w.apply(f.file.seen)
	f.file.pending = append(f.file.pending, w)
	return f.disk.step()
}

func (f *cutFile) Write(data []byte) (int, error) {
	if f.disk.dead {
		return 0, errPower
	}
	// As blocks of the disk, each of which may be lost.
	for rest := data; len(rest) > 0; {
		n := min(4096, len(rest))
		if err := f.put(write{offset: len(f.file.seen), data: slices.Clone(rest[:n])}); err != nil {
			return 0, err
		}
		f.disk.operations-- // one operation, however many blocks
		rest = rest[n:]
	}
	f.disk.operations++
	return len(data), nil
}

func (f *cutFile) Sync() error {
	if err := f.disk.step(); err != nil {
		return err
	}
	f.file.durable = slices.Clone(f.file.seen)
	f.file.pending = nil
	return nil
}

func (f *cutFile) Close() error { return nil }

// after is the disk that the next start finds.
func (d *cutDisk) after(r *rand.Rand, odds float64) *cutDisk {
	names := map[string]*inode{}
	for name, file := range d.durable {
		names[name] = file
	}
	for _, c := range d.pending {
		if r.Float64() < odds {
			c.apply(names)
		}
	}
	next := newCutDisk(-1)
	for name, file := range names {
		content := slices.Clone(file.durable)
		for _, w := range file.pending {
			if r.Float64() < odds {
				content = torn(w, r, odds).apply(content)
			}
		}
		next.names[name] = &inode{seen: content, durable: slices.Clone(content), at: file.at}
		next.durable[name] = next.names[name]
	}
	return next
}

// torn is what a failing disk makes of a write now and then.
func torn(w write, r *rand.Rand, odds float64) write {
	if odds == 1 || len(w.data) == 0 {
		return w
	}
	switch r.IntN(4) {
	case 0:
		w.data = w.data[:r.IntN(len(w.data))]
	case 1:
		w.data = make([]byte, len(w.data)) // the length was noted, the bytes were not
	}
	return w
}

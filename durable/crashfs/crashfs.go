// Package crashfs is a file system in memory that simulates power failures and killed
// processes, for tests of crash safety.
package crashfs

import (
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"

	"meltwatch/durable"
)

// Disk is a durable.Files in memory whose power fails at a chosen operation. Unsynced
// changes then survive in part: each write independently, whole, torn or as zeros, and
// each change of a folder independently. POSIX allows a file system to lose that much;
// a journalling one loses less.
type Disk struct {
	names   map[string]*inode // as the program sees them
	durable map[string]*inode // as they are on the disk
	pending []change          // changes of names, not yet durable

	operations int
	cutAt      int // the operation at which power fails; −1 for never
	// Dead reports whether power has failed. A test may also set it between two
	// operations.
	Dead bool
	// Step, unless nil, is called after every change and in the middle of a write: the
	// points at which a process may be killed.
	Step func()
	// Now gives the modification times of files; New sets it to time.Now.
	Now func() time.Time
}

type inode struct {
	seen    []byte
	durable []byte
	pending []write
	at      time.Time
}

// write writes data at an offset; with cut it truncates the file there first.
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

// change gives a name to an inode. from is its previous name; a nil file removes the
// name.
type change struct {
	folder, from, name string
	file               *inode
}

func (c change) apply(names map[string]*inode) {
	switch {
	case c.file == nil:
		delete(names, c.name)
	case c.from != "" && names[c.from] != c.file:
		// The creation of the renamed file was lost.
	default:
		delete(names, c.from)
		names[c.name] = c.file
	}
}

// ErrPower is returned by every operation after power has failed.
var ErrPower = errors.New("power failed")

// New returns an empty disk whose power fails at operation cutAt, or never with −1.
func New(cutAt int) *Disk {
	return &Disk{names: map[string]*inode{}, durable: map[string]*inode{}, cutAt: cutAt, Now: time.Now}
}

// CutIn makes power fail at the nth operation from now; the next one is 0.
func (d *Disk) CutIn(n int) { d.cutAt = d.operations + n }

// Put adds a durable file to the disk.
func (d *Disk) Put(name string, data []byte) {
	file := &inode{seen: slices.Clone(data), durable: slices.Clone(data), at: d.Now()}
	d.names[name], d.durable[name] = file, file
}

// Has reports whether a file exists.
func (d *Disk) Has(name string) bool { return d.names[name] != nil }

// Size is the size of all files in bytes.
func (d *Disk) Size() (n int64) {
	for _, file := range d.names {
		n += int64(len(file.seen))
	}
	return n
}

// step counts an operation, and fails from operation cutAt on.
func (d *Disk) step() error {
	if d.operations == d.cutAt {
		d.Dead = true
	}
	d.operations++
	if d.Dead {
		return ErrPower
	}
	if d.Step != nil {
		d.Step()
	}
	return nil
}

func (d *Disk) rename(c change) error {
	if d.Dead {
		return ErrPower
	}
	c.folder = path.Dir(c.name)
	c.apply(d.names)
	d.pending = append(d.pending, c) // it may reach the disk even if power fails now
	return d.step()
}

// List returns the files of a folder, by name.
func (d *Disk) List(folder string) (entries []durable.Entry, err error) {
	for name, file := range d.names {
		if path.Dir(name) == folder {
			entries = append(entries, durable.Entry{Name: path.Base(name), Size: int64(len(file.seen)), Modified: file.at})
		}
	}
	slices.SortFunc(entries, func(a, b durable.Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// Read returns the first most bytes of a file.
func (d *Disk) Read(name string, most int64) ([]byte, error) {
	file := d.names[name]
	if file == nil {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(file.seen[:min(len(file.seen), int(most))]), nil
}

// Create creates or truncates a file.
func (d *Disk) Create(name string) (durable.File, error) {
	file := d.names[name]
	if file == nil {
		file = &inode{at: d.Now()}
		if err := d.rename(change{name: name, file: file}); err != nil {
			return nil, err
		}
	}
	return d.Extend(name, 0)
}

// Extend truncates a file to size and opens it for writing at its end.
func (d *Disk) Extend(name string, size int64) (durable.File, error) {
	if d.Dead {
		return nil, ErrPower
	}
	f := &cutFile{d, d.names[name]}
	return f, f.put(write{offset: int(size), cut: true})
}

// Rename replaces to by from.
func (d *Disk) Rename(from, to string) error {
	return d.rename(change{from: from, name: to, file: d.names[from]})
}

// Remove deletes a file.
func (d *Disk) Remove(name string) error { return d.rename(change{name: name}) }

// MakeFolder does nothing: folders exist as parts of names.
func (d *Disk) MakeFolder(string) error { return nil }

// SyncFolder makes the changes of a folder durable.
func (d *Disk) SyncFolder(folder string) error {
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

// cutFile is a file of a Disk, open for writing at its end.
type cutFile struct {
	disk *Disk
	file *inode
}

func (f *cutFile) put(w write) error {
	f.file.seen = w.apply(f.file.seen)
	f.file.at = f.disk.Now()
	f.file.pending = append(f.file.pending, w)
	return f.disk.step()
}

func (f *cutFile) Write(data []byte) (int, error) {
	if f.disk.Dead {
		return 0, ErrPower
	}
	// Data is written in blocks, each of which may be lost.
	for rest := data; len(rest) > 0; {
		n := min(4096, len(rest))
		if f.disk.Step != nil && len(rest) == len(data) {
			n = min(n, (len(rest)+1)/2)
		}
		if err := f.put(write{offset: len(f.file.seen), data: slices.Clone(rest[:n])}); err != nil {
			return 0, err
		}
		f.disk.operations-- // all blocks count as one operation
		rest = rest[n:]
	}
	f.disk.operations++
	return len(data), nil
}

func (f *cutFile) Sync() error {
	if err := f.disk.step(); err != nil {
		return err
	}
	for _, w := range f.file.pending {
		f.file.durable = w.apply(f.file.durable)
	}
	f.file.pending = nil
	return nil
}

func (f *cutFile) Close() error { return nil }

// After returns the disk that the next start finds. Each unsynced change survives with
// probability odds.
func (d *Disk) After(r *rand.Rand, odds float64) *Disk {
	names := maps.Clone(d.durable)
	for _, c := range d.pending {
		if r.Float64() < odds {
			c.apply(names)
		}
	}
	next := New(-1)
	next.Now = d.Now
	for _, name := range slices.Sorted(maps.Keys(names)) { // sorted, so that a seed has one outcome
		file := names[name]
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

// PowerCut discards everything that is not durable, and restores power.
func (d *Disk) PowerCut() {
	next := d.After(rand.New(rand.NewPCG(0, 0)), 0)
	d.names, d.durable, d.pending, d.Dead = next.names, next.durable, nil, false
}

// Snapshot returns the content of every file as the program sees it.
func (d *Disk) Snapshot() map[string][]byte {
	files := map[string][]byte{}
	for name, file := range d.names {
		files[name] = slices.Clone(file.seen)
	}
	return files
}

// PutBack replaces the disk's content by these files, all durable.
func (d *Disk) PutBack(files map[string][]byte) {
	d.names, d.durable, d.pending = map[string]*inode{}, map[string]*inode{}, nil
	for name, data := range files {
		d.Put(name, data)
	}
}

// torn truncates a write or replaces it by zeros, with some probability.
func torn(w write, r *rand.Rand, odds float64) write {
	if odds == 1 || len(w.data) == 0 {
		return w
	}
	switch r.IntN(4) {
	case 0:
		w.data = w.data[:r.IntN(len(w.data))]
	case 1:
		w.data = make([]byte, len(w.data)) // the length was written, the bytes were not
	}
	return w
}

// Package committest is a folder in memory under which a process dies at any
// step, for the tests of what must survive that.
package committest

import (
	"io/fs"
	"maps"
	"slices"
)

// Disk is a commit.Files that keeps apart what a process sees and what a power
// cut leaves.
type Disk struct {
	// Step is called within and after every change; it may end the goroutine.
	Step          func()
	seen, durable map[string][]byte
	pending       []func(map[string][]byte) // renames that are not durable
}

// New returns an empty disk.
func New(step func()) *Disk {
	return &Disk{Step: step, seen: map[string][]byte{}, durable: map[string][]byte{}}
}

// Read returns a file as a process sees it.
func (d *Disk) Read(name string) ([]byte, error) {
	if data, ok := d.seen[name]; ok {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

// Write fills a file, in two steps: a death in between leaves half of it.
func (d *Disk) Write(name string, data []byte) error {
	d.seen[name] = data[:len(data)/2]
	d.Step()
	d.seen[name] = slices.Clone(data)
	d.Step()
	return nil
}

// Sync makes a file's content durable.
func (d *Disk) Sync(name string) error {
	d.durable[name] = d.seen[name]
	d.Step()
	return nil
}

// Rename replaces to by from.
func (d *Disk) Rename(from, to string) error {
	move := func(names map[string][]byte) { names[to] = names[from]; delete(names, from) }
	move(d.seen)
	d.pending = append(d.pending, move)
	d.Step()
	return nil
}

// SyncFolder makes renames durable.
func (d *Disk) SyncFolder() error {
	for _, move := range d.pending {
		move(d.durable)
	}
	d.pending = nil
	d.Step()
	return nil
}

// PowerCut loses what is not durable.
func (d *Disk) PowerCut() {
	d.seen, d.pending = maps.Clone(d.durable), nil
}

// Snapshot is the disk as it is now; putting it back undoes what came after.
func (d *Disk) Snapshot() map[string][]byte { return maps.Clone(d.seen) }

// PutBack puts a snapshot back.
func (d *Disk) PutBack(files map[string][]byte) { d.seen = files }

// Package disk is all that the outbox asks of a disk, and the real one. Package
// cutdisk below it is a disk whose power fails.
package disk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Files is a folder with one level of folders in it. Paths are relative to it.
// Tests put a disk in its place that loses, tears and reorders what was not
// synced, or refuses to write.
type Files interface {
	// List returns what lies in a folder, in any order; an absent folder is empty.
	List(folder string) ([]Entry, error)
	// Read returns the first most bytes of a file.
	Read(path string, most int64) ([]byte, error)
	// Create makes an empty file or empties the one that is there.
	Create(path string) (File, error)
	// Extend cuts a file to size and opens it for writing at its end.
	Extend(path string, size int64) (File, error)
	Rename(from, to string) error
	Remove(path string) error
	// MakeFolder makes a folder and those above it, durably; one that is there is
	// no error.
	MakeFolder(folder string) error
	// SyncFolder makes creations, renames and removals in a folder durable.
	SyncFolder(folder string) error
}

// File is a file open for writing at its end.
type File interface {
	io.Writer
	// Sync returns once everything written is durable.
	Sync() error
	Close() error
}

// Entry is one file of a folder.
type Entry struct {
	Name     string
	Size     int64 // bytes
	Modified time.Time
}

// Disk is the Files of a real folder.
type Disk struct{ root string }

// New returns the Files below root, which need not exist yet.
func New(root string) Disk { return Disk{root} }

func (d Disk) path(name string) string { return filepath.Join(d.root, name) }

// List returns the plain files of a folder.
func (d Disk) List(folder string) ([]Entry, error) {
	found, err := os.ReadDir(d.path(folder))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	entries := make([]Entry, 0, len(found))
	for _, f := range found {
		info, infoErr := f.Info()
		if infoErr != nil || !info.Mode().IsRegular() {
			continue // removed meanwhile, or none of ours
		}
		entries = append(entries, Entry{f.Name(), info.Size(), info.ModTime()})
	}
	return entries, err
}

// Read returns the first most bytes of a file.
func (d Disk) Read(path string, most int64) ([]byte, error) {
	file, err := os.Open(d.path(path))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, most))
}

// Create makes or empties a file.
func (d Disk) Create(path string) (File, error) {
	return os.OpenFile(d.path(path), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
}

// Extend cuts a file to size and opens it for writing at its end.
func (d Disk) Extend(path string, size int64) (File, error) {
	file, err := os.OpenFile(d.path(path), os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	if err := file.Truncate(size); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if _, err := file.Seek(size, io.SeekStart); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Rename replaces to by from.
func (d Disk) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

// Remove deletes a file.
func (d Disk) Remove(path string) error { return os.Remove(d.path(path)) }

// MakeFolder makes a folder and syncs the ones that gained an entry.
func (d Disk) MakeFolder(folder string) error {
	path := d.path(folder)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return errors.Join(syncFolder(filepath.Dir(path)), syncFolder(filepath.Dir(d.root)))
}

// SyncFolder makes a folder's entries durable.
func (d Disk) SyncFolder(folder string) error { return syncFolder(d.path(folder)) }

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Package durable writes files so that a kill or a power cut leaves the old content or
// the new, never a mixture. Files is the file system that it needs, Folder the real one,
// and package crashfs a simulated one whose power fails.
package durable

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Files is a folder with one level of folders in it. Paths are relative to it.
// Tests replace it by a disk that loses, tears and reorders what was not
// synced, or refuses to write.
type Files interface {
	// List returns the entries of a folder, in any order; a missing folder is empty.
	List(folder string) ([]Entry, error)
	// Read returns the first most bytes of a file.
	Read(path string, most int64) ([]byte, error)
	// Create creates an empty file or truncates an existing one.
	Create(path string) (File, error)
	// Extend truncates a file to size and opens it for writing at its end.
	Extend(path string, size int64) (File, error)
	Rename(from, to string) error
	Remove(path string) error
	// MakeFolder creates a folder and its parents durably. An existing folder is not an
	// error.
	MakeFolder(folder string) error
	// SyncFolder makes creations, renames and removals in a folder durable.
	SyncFolder(folder string) error
}

// File is a file open for writing at its end.
type File interface {
	io.Writer
	// Sync makes everything written durable.
	Sync() error
	Close() error
}

// Entry is one file of a folder.
type Entry struct {
	Name     string
	Size     int64 // bytes
	Modified time.Time
}

// Folder is a folder of the real file system, which need not exist yet.
type Folder string

func (f Folder) path(name string) string { return filepath.Join(string(f), name) }

// List returns the plain files of a folder.
func (f Folder) List(folder string) ([]Entry, error) {
	found, err := os.ReadDir(f.path(folder))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	entries := make([]Entry, 0, len(found))
	for _, one := range found {
		info, infoErr := one.Info()
		if infoErr != nil || !info.Mode().IsRegular() {
			continue // removed meanwhile, or not a plain file
		}
		entries = append(entries, Entry{one.Name(), info.Size(), info.ModTime()})
	}
	return entries, err
}

// Read returns the first most bytes of a file.
func (f Folder) Read(path string, most int64) ([]byte, error) {
	file, err := os.Open(f.path(path))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, most))
}

// Create creates or truncates a file.
func (f Folder) Create(path string) (File, error) {
	return os.OpenFile(f.path(path), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
}

// Extend truncates a file to size and opens it for writing at its end.
func (f Folder) Extend(path string, size int64) (File, error) {
	file, err := os.OpenFile(f.path(path), os.O_WRONLY, 0)
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
func (f Folder) Rename(from, to string) error { return os.Rename(f.path(from), f.path(to)) }

// Remove deletes a file.
func (f Folder) Remove(path string) error { return os.Remove(f.path(path)) }

// MakeFolder creates a folder and syncs its parents.
func (f Folder) MakeFolder(folder string) error {
	path := f.path(folder)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return err
	}
	return errors.Join(syncFolder(filepath.Dir(path)), syncFolder(filepath.Dir(string(f))))
}

// SyncFolder makes a folder's entries durable.
func (f Folder) SyncFolder(folder string) error { return syncFolder(f.path(folder)) }

// Replace replaces a file, and makes its folder if there is none. It returns once the
// new content is durable. Each file has one writer, because the content is first
// written to NAME.new.
func Replace(f Files, name string, data []byte) error {
	folder, temporary := filepath.Dir(name), name+".new"
	if err := f.MakeFolder(folder); err != nil {
		return err
	}
	file, err := f.Create(temporary)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := f.Rename(temporary, name); err != nil {
		return err
	}
	return f.SyncFolder(folder)
}

// WriteFile calls Replace for a path of the real file system; the mode is 0600.
func WriteFile(path string, data []byte) error {
	return Replace(Folder(filepath.Dir(path)), filepath.Base(path), data)
}

// maxFile bounds a file that is read whole, in bytes; no journal is larger.
const maxFile = 16 << 20

// ReadFile returns a whole file, at most 16 MiB of it, or fs.ErrNotExist.
func ReadFile(f Files, name string) ([]byte, error) { return f.Read(name, maxFile) }

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

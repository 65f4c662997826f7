package commit

import (
	"errors"
	"os"
	"path/filepath"
)

// Files is a folder, as far as a journal needs one. Tests put one in its place
// that dies at a chosen call.
type Files interface {
	// Read returns a whole file, or fs.ErrNotExist.
	Read(name string) ([]byte, error)
	// Write creates or empties a file and fills it; Sync makes that durable.
	Write(name string, data []byte) error
	Sync(name string) error
	// Rename replaces to by from; SyncFolder makes that durable.
	Rename(from, to string) error
	SyncFolder() error
}

// Replace replaces a file so that a kill or power cut leaves the old or the new
// one, and returns once the new one is durable.
func Replace(f Files, name string, data []byte) error {
	beside := name + ".new"
	if err := f.Write(beside, data); err != nil {
		return err
	}
	if err := f.Sync(beside); err != nil {
		return err
	}
	if err := f.Rename(beside, name); err != nil {
		return err
	}
	return f.SyncFolder()
}

// Folder is the Files of a real folder, made when it is first written to.
type Folder string

func (f Folder) path(name string) string { return filepath.Join(string(f), name) }

// Read returns a whole file.
func (f Folder) Read(name string) ([]byte, error) { return os.ReadFile(f.path(name)) }

// Write creates or empties a file and fills it.
func (f Folder) Write(name string, data []byte) error {
	if err := os.MkdirAll(string(f), 0o750); err != nil {
		return err
	}
	return os.WriteFile(f.path(name), data, 0o600)
}

// Sync makes a file's content durable.
func (f Folder) Sync(name string) error {
	file, err := os.OpenFile(f.path(name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// Rename replaces to by from.
func (f Folder) Rename(from, to string) error { return os.Rename(f.path(from), f.path(to)) }

// SyncFolder makes renames durable.
func (f Folder) SyncFolder() error {
	folder, err := os.Open(string(f))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

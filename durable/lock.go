package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Lock prevents other processes from locking the folder until the lock is closed or
// this process ends. If the lock file cannot be created, Lock returns no error and does
// not lock: one agent on a full disk is more likely than two.
func (f Folder) Lock() (io.Closer, error) {
	err := os.MkdirAll(string(f), 0o750)
	if err != nil {
		return io.NopCloser(nil), nil //nolint:nilerr // a later write reports the fault of the disk
	}
	file, err := os.OpenFile(filepath.Join(string(f), "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return io.NopCloser(nil), nil //nolint:nilerr // as above
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("%s is in use by another agent: set a different paths.state for each agent", string(f)), file.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", string(f), err), file.Close())
	}
	return file, nil
}

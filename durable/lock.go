package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Lock keeps every other process from locking the same folder until it is closed
// or this process ends. On a disk that takes no lock file the folder stays unlocked,
// without an error: one agent on a full disk must still run.
func (f Folder) Lock() (io.Closer, error) {
	err := os.MkdirAll(string(f), 0o750)
	if err != nil {
		return io.NopCloser(nil), nil //nolint:nilerr // the first write reports the fault of the disk
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

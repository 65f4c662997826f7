package check

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/durable"
)

// The years of a clock that was set.
const (
	firstYear = 2025
	lastYear  = 2100
)

// tryClock tells whether the clock can stamp records. The agent works without a
// synchronised clock, and marks its records.
func tryClock(_ context.Context, k *checker) outcome {
	now := k.clock.Wall(time.Now())
	shown := now.UTC().Format("2006-01-02 15:04:05 UTC")
	const set = "set it and keep it synchronised: timedatectl set-ntp true, or chrony with the plant's time server"
	switch {
	case now.Year() < firstYear || now.Year() >= lastYear:
		return failure(fmt.Errorf("%s cannot be the time, so certificates are refused: %s", shown, set))
	case !k.clock.Synced():
		return outcome{lines: []Line{{Status: Warn, Detail: shown + ", not synchronised, so records are marked unsynced: " + set}}}
	default:
		return success("%s, synchronised", shown)
	}
}

// tryStorage writes into the state folder as the agent does, and looks for a running
// agent. A missing folder is created for the trial only: made by another user than the
// agent's it would be in the agent's way.
func tryStorage(_ context.Context, k *checker) outcome {
	folder := k.config.Paths.State
	missing, err := k.tryFolder(folder)
	if err != nil {
		return failure(err)
	}
	if len(missing) > 0 {
		return success("%s can be created and written%s", folder, asRoot(folder, missing))
	}
	if err := foreign(folder, settings.OutboxFolder(k.config), filepath.Join(folder, "remote")); err != nil {
		return failure(err)
	}
	holder, err := lockHolder(settings.OutboxFolder(k.config))
	if err != nil {
		return failure(err)
	}
	return success("%s can be written, %s%s", folder, holder, asRoot(folder, nil))
}

// tryFolder writes into a folder. It returns the folders that do not exist yet.
func (k *checker) tryFolder(folder string) (missing []string, err error) {
	missing, err = missingFolders(folder)
	if err != nil {
		return nil, err
	}
	err = k.tryWrite(folder)
	for _, path := range missing { // the deepest first
		if gone := os.Remove(path); err == nil && gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = gone
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", folder, err)
	}
	return missing, nil
}

// tryWrite writes a file durably and removes it.
func (k *checker) tryWrite(folder string) error {
	disk, name := k.files(folder), ".check-"+rand.Text()
	err := durable.Replace(disk, name, []byte("meltwatch check\n"))
	for _, left := range []string{name, name + ".new"} {
		if gone := disk.Remove(left); err == nil && gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = gone
		}
	}
	return err
}

// missingFolders returns the folders of a path that do not exist, the deepest first.
func missingFolders(path string) (missing []string, err error) {
	for {
		info, err := os.Stat(path)
		switch {
		case err == nil && !info.IsDir():
			return nil, fmt.Errorf("%s is a file: name a folder, or remove the file", path)
		case err == nil:
			return missing, nil
		case errors.Is(err, unix.ENOTDIR): // a parent is a file
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
		parent := filepath.Dir(path)
		if parent == path {
			return nil, err
		}
		missing = append(missing, path)
		path = parent
	}
}

// asRoot tells that root may write where the agent's user may not.
func asRoot(folder string, missing []string) string {
	if os.Geteuid() != 0 {
		return ""
	}
	owner := folder
	if len(missing) > 0 {
		owner = filepath.Dir(missing[len(missing)-1])
	}
	var s unix.Stat_t
	if unix.Stat(owner, &s) == nil && s.Uid != 0 {
		return fmt.Sprintf(" (tried as root; the folder belongs to user %d: run check as the agent's user)", s.Uid)
	}
	return ""
}

// foreign returns a file of the state folder that this user cannot write, such as one
// left by an agent that root has started.
func foreign(folders ...string) error {
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s cannot be read: %w", folder, err)
		}
		for _, e := range entries {
			path := filepath.Join(folder, e.Name())
			if err := unix.Access(path, unix.R_OK|unix.W_OK); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s cannot be written by this user: %w; give it back with chown -R USER: %s", path, err, folders[0])
			}
		}
	}
	return nil
}

// lockHolder tells whether an agent runs with the outbox. It asks for a shared lock and
// gives it back at once, so a running agent keeps its own.
func lockHolder(outbox string) (string, error) {
	file, err := os.Open(filepath.Join(outbox, "lock"))
	if errors.Is(err, fs.ErrNotExist) {
		return "no agent runs with it", nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	err = unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return "in use by the running agent" + processOf(outbox), nil
	case err != nil:
		return "", fmt.Errorf("lock %s: %w; use a file system with locks", outbox, err)
	}
	return "no agent runs with it", unix.Flock(int(file.Fd()), unix.LOCK_UN)
}

// processOf names the process that the state folder notes.
func processOf(outbox string) string {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(outbox), "pid"))
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return ", process " + pid
	}
	return ""
}

// spare is what must stay free beside the outbox, in bytes: the documents, models and
// journals of the state folder.
const spare = 200 * megabyte

const megabyte = 1_000_000

// tryDisk compares the free space with what the outbox may still grow by.
func tryDisk(_ context.Context, k *checker) outcome {
	path := k.config.Paths.State
	missing, err := missingFolders(path)
	if err != nil {
		return failure(err)
	}
	if len(missing) > 0 {
		path = filepath.Dir(missing[len(missing)-1])
	}
	s, err := k.space(path)
	if err != nil {
		return failure(fmt.Errorf("free space of %s: %w", path, err))
	}
	used, err := size(settings.OutboxFolder(k.config))
	if err != nil {
		return failure(err)
	}
	var growth int64
	if k.config.Outbox.Enabled {
		growth = max(0, int64(k.config.Outbox.TotalMB)*megabyte-used)
	}
	free := freeBytes(s)
	switch {
	case s.Flags&unix.ST_RDONLY != 0:
		return failure(fmt.Errorf("the disk of %s is mounted read-only: mount it for writing, or repair it", path))
	case s.Files > 0 && s.Ffree == 0:
		return failure(fmt.Errorf("the disk of %s has no free inode: delete files", path))
	case free < spare:
		return failure(fmt.Errorf("the disk of %s is full: %d MB are free, %d MB must be: delete files", path, free/megabyte, spare/megabyte))
	case free < growth+spare:
		return failure(config.KeyErrorf("outbox.total_mb", "%d MB are free on the disk of %s, and the outbox may grow by %d MB beside %d MB for the rest: set %d or less, or free the difference",
			free/megabyte, path, growth/megabyte, spare/megabyte, (free+used-spare)/megabyte))
	default:
		return success("%d MB free for an outbox that may grow by %d MB", free/megabyte, growth/megabyte)
	}
}

// freeBytes is what a user other than root may use.
func freeBytes(s unix.Statfs_t) int64 {
	return int64(min(s.Bavail, 1<<40)) * s.Bsize
}

// size is the size of a folder's files, in bytes.
func size(folder string) (total int64, err error) {
	entries, err := durable.Folder(folder).List(".")
	for _, e := range entries {
		total += e.Size
	}
	return total, err
}

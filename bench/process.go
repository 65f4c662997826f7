package main

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/prometheus/procfs"
)

// reading is what one process takes at one moment.
type reading struct {
	anonymous   int // bytes of memory that no file backs
	descriptors int
}

// readProcess reads a process's present use of resources.
func readProcess(pid int) (r reading, err error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return r, err
	}
	status, err := process.NewStatus()
	if err != nil {
		return r, err
	}
	descriptors, err := process.FileDescriptorsLen()
	return reading{int(status.RssAnon), descriptors}, err
}

// children are a process's own, by the name of their program.
func children(pid int) (map[string]int, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for _, process := range all {
		stat, err := process.Stat()
		if err != nil || stat.PPID != pid {
			continue // it has ended, or is another's
		}
		if program, err := process.Executable(); err == nil && program != "" {
			found[filepath.Base(program)] = process.PID
		}
	}
	return found, nil
}

// folderSize is what the files below a folder hold, in bytes.
func folderSize(root string) (n int64, err error) {
	err = filepath.WalkDir(root, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			info, infoErr := entry.Info()
			if err = infoErr; err == nil {
				n += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile, as done segments are
		}
		return err
	})
	return n, err
}

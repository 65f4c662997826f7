package rig

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/prometheus/procfs"
)

// Usage is the resources of one process at one moment.
type Usage struct {
	Anonymous   int // bytes of memory that no file backs
	Descriptors int
	CPU         time.Duration // used since its start
	Share       int           // bytes of memory, those that processes share divided among them (PSS)
}

// ReadUsage reads a process's current usage.
func ReadUsage(pid int) (u Usage, err error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return u, err
	}
	status, err := process.NewStatus()
	if err != nil {
		return u, err
	}
	stat, err := process.Stat()
	if err != nil {
		return u, err
	}
	maps, err := process.ProcSMapsRollup()
	if err != nil {
		return u, err
	}
	descriptors, err := process.FileDescriptorsLen()
	return Usage{int(status.RssAnon), descriptors, time.Duration(stat.CPUTime() * float64(time.Second)), int(maps.Pss)}, err
}

// Children returns the process numbers of a process's children by program name.
func Children(pid int) (map[string]int, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for _, process := range all {
		stat, err := process.Stat()
		if err != nil || stat.PPID != pid {
			continue // ended, or another process's child
		}
		if program, err := process.Executable(); err == nil && program != "" {
			found[filepath.Base(program)] = process.PID
		}
	}
	return found, nil
}

// FolderSize returns the size of all files below a folder, in bytes.
func FolderSize(root string) (n int64, err error) {
	err = filepath.WalkDir(root, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			info, infoErr := entry.Info()
			if err = infoErr; err == nil {
				n += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile, like a finished segment
		}
		return err
	})
	return n, err
}

// WrittenBytes returns how many bytes a process has caused to be written to disk.
func WrittenBytes(pid int) (int64, error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	counted, err := process.IO()
	return int64(counted.WriteBytes), err
}

// Pause waits for d. It returns ctx's error if ctx ends first.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

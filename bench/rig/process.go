package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// Usage is the resources of one process at one moment.
type Usage struct {
	Anonymous   int // bytes of memory that no file backs
	Descriptors int
	CPU         time.Duration // used since its start
	Share       int           // bytes of memory, those that processes share divided among them (PSS)
	Resident    int           // bytes of memory, shared pages counted whole (RSS)
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
	return Usage{int(status.RssAnon), descriptors, time.Duration(stat.CPUTime() * float64(time.Second)), int(maps.Pss), int(maps.Rss)}, err
}

// CPUTime returns what a process's threads have used of the processor, in the scheduler's
// own nanoseconds: Usage counts in ticks of 10 ms. What ended threads used is left out.
func CPUTime(pid int) (time.Duration, error) {
	used, err := ReadProcessor(pid)
	return used.Time, err
}

// Processor is what a process's threads have used of the processor.
type Processor struct {
	Time  time.Duration
	Turns int // how often the scheduler gave a thread a turn: each wake takes one
}

// ReadProcessor reads the time, as CPUTime does, and the turns.
func ReadProcessor(pid int) (used Processor, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return used, err
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread has ended
		}
		if err != nil {
			return used, err
		}
		var running, waiting int64
		var turns int
		if _, err := fmt.Sscan(string(text), &running, &waiting, &turns); err != nil {
			return used, fmt.Errorf("%s: %w", thread, err)
		}
		used.Time += time.Duration(running)
		used.Turns += turns
	}
	if used.Time == 0 {
		return used, fmt.Errorf("process %d: processor time is unknown: the process has ended, or the kernel lacks schedstat", pid)
	}
	return used, nil
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

// FreeAddress returns a loopback address that nothing listens on.
func FreeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
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

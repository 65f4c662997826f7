package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// reading is what one process takes at one moment.
type reading struct {
	anonymous   int // bytes of memory that no file backs
	descriptors int
}

// read reads a process from /proc.
func readProcess(pid int) (r reading, err error) {
	folder := filepath.Join("/proc", strconv.Itoa(pid))
	text, err := os.ReadFile(filepath.Join(folder, "status"))
	if err != nil {
		return r, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kilobytes := 0
			if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
				return r, fmt.Errorf("%s: %w", line, err)
			}
			r.anonymous = kilobytes << 10
		}
	}
	descriptors, err := os.ReadDir(filepath.Join(folder, "fd"))
	r.descriptors = len(descriptors)
	return r, err
}

// children are a process's own, by the name of their program.
func children(pid int) (map[string]int, error) {
	// Each thread lists those that it has started.
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // the thread has ended
		}
		for word := range strings.FieldsSeq(string(text)) {
			program, err := os.Readlink(filepath.Join("/proc", word, "exe"))
			if err != nil {
				continue // the child has ended
			}
			if found[filepath.Base(program)], err = strconv.Atoi(word); err != nil {
				return nil, err
			}
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

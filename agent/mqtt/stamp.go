package mqtt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Stamper makes stamps. It is safe for concurrent use.
type Stamper struct {
	boot       uint64
	kernelBoot string

	mu  sync.Mutex
	seq map[string]uint64 // by class
}

// NewStamper counts this start of the agent in folder and returns the stamper
// of this boot.
func NewStamper(folder string) (*Stamper, error) {
	boot, err := countBoot(filepath.Join(folder, "boot"))
	if err != nil {
		return nil, fmt.Errorf("count this start of the agent: %w", err)
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("read the kernel's boot id: %w", err)
	}
	return &Stamper{boot: boot, kernelBoot: strings.TrimSpace(string(kernel)), seq: map[string]uint64{}}, nil
}

// countBoot reads, increments and writes back the counter: the new value is on
// disk before it is used, so no two starts share it.
func countBoot(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	last, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		// Lost or damaged: go on from the clock, beyond any count of starts that
		// a box lives to see, so that old records are not taken for new.
		last = 0
		if len(text) > 0 {
			last = uint64(time.Now().Unix())
		}
	}
	return last + 1, WriteFile(path, []byte(strconv.FormatUint(last+1, 10)+"\n"))
}

// WriteFile replaces a file so that a power cut leaves the old or the new one.
func WriteFile(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new*")
	if err != nil {
		return err
	}
	_, writeErr := file.Write(data)
	err = errors.Join(writeErr, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Boot is the number of this start of the agent.
func (s *Stamper) Boot() uint64 { return s.boot }

// Stamp stamps the next record of a class, made at t.
func (s *Stamper) Stamp(class string, t time.Time) Stamp {
	s.mu.Lock()
	s.seq[class]++
	seq := s.seq[class]
	s.mu.Unlock()
	return Stamp{
		Version: version,
		Time:    t.UTC().Round(0), Boot: s.boot, Seq: seq,
		MonoMS:     bootTime().Milliseconds() - time.Since(t).Milliseconds(),
		KernelBoot: s.kernelBoot,
		Clock:      clockQuality(),
	}
}

// bootTime is the time since the kernel started, suspension included.
func bootTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0 // no Linux of this century lacks it
	}
	return time.Duration(ts.Nano())
}

// clockQuality asks the kernel whether something keeps its clock right.
func clockQuality() string {
	const notSynchronised = 5 // TIME_ERROR of adjtimex(2)
	var t unix.Timex
	if state, err := unix.Adjtimex(&t); err != nil || state == notSynchronised {
		return "unsynced"
	}
	return "synced"
}

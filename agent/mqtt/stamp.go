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
	file       string // of the counter

	mu    sync.Mutex
	seq   map[string]uint64 // by class
	saved bool              // the counter's file holds boot
}

// NewStamper counts this start of the agent in folder and returns the stamper
// of this boot. A folder that does not take the count does not keep the furnace
// unwatched: the boot's number then comes from the clock, which is beyond any
// count of starts that a box lives to see, and Save puts it into the folder once
// that can be written, so that later boots come after it.
func NewStamper(folder string) (*Stamper, error) {
	kernel, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("read the kernel's boot id: %w", err)
	}
	s := &Stamper{
		kernelBoot: strings.TrimSpace(string(kernel)),
		file:       filepath.Join(folder, "boot"),
		seq:        map[string]uint64{},
	}
	byClock := uint64(time.Now().Unix())
	if s.boot, err = lastBoot(s.file); err != nil {
		s.boot = byClock
	}
	s.boot++
	// The new value is on disk before it is used, so no two starts share it.
	if s.Save() != nil {
		s.boot = max(s.boot, byClock)
	}
	return s, nil
}

// lastBoot is the number of the last start, 0 before the first.
func lastBoot(file string) (uint64, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}

// Save writes the boot's number, if that has not been done, and says why it
// could not be.
func (s *Stamper) Save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.saved {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.file), 0o750); err != nil {
		return fmt.Errorf("count this start of the agent: %w", err)
	}
	if err := WriteFile(s.file, []byte(strconv.FormatUint(s.boot, 10)+"\n")); err != nil {
		return fmt.Errorf("count this start of the agent: %w", err)
	}
	s.saved = true
	return nil
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

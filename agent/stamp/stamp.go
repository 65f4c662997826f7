// Package stamp stamps each record with its time, boot and sequence number. If the
// clock was not set when a record was made, the stamp is corrected later.
package stamp

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"time"

	"meltwatch/agent/message"
	"meltwatch/durable"
)

// Stamper makes stamps. It is safe for concurrent use.
type Stamper struct {
	boot       uint64
	kernelBoot string
	clock      Clock
	instance   string
	files      durable.Files

	beside bool // another process counts the starts

	mu    sync.Mutex
	seq   map[string]uint64 // by class
	saved bool              // the file holds boot
}

// bootFile counts the starts of the agent.
const bootFile = "boot"

// New counts this start of the agent in files, the state folder, and returns the
// stamper of this boot. instance is unique to this process, and kernelBoot is the
// kernel's boot id. The agent also starts if the folder cannot be written. The boot
// number is then the Unix time, which is higher than any count of starts. Save writes
// it once the folder can be written, so that later boots have higher numbers.
func New(files durable.Files, clock Clock, kernelBoot, instance string) *Stamper {
	s := At(0, kernelBoot, clock, instance)
	s.saved, s.files = false, files
	byClock := uint64(time.Now().Unix())
	var err error
	if s.boot, err = lastBoot(files); err != nil {
		s.boot = byClock
	}
	s.boot++
	// The new value is on disk before it is used, so no two starts share it.
	if s.Save() != nil {
		s.boot = max(s.boot, byClock)
	}
	return s
}

// Beside returns the stamper of a process beside the one that counts its starts in files. It
// counts nothing: its boot is the next one, if that is known.
func Beside(files durable.Files, clock Clock, kernelBoot, instance string) *Stamper {
	s := At(0, kernelBoot, clock, instance)
	s.beside, s.files = true, files
	last, err := lastBoot(files)
	if s.boot = last + 1; err != nil {
		s.boot = uint64(time.Now().Unix())
	}
	return s
}

// OnHost calls New with the kernel's clock, the kernel's boot id and a random instance.
func OnHost(folder string) (*Stamper, error) {
	kernel, err := durable.KernelBootID()
	if err != nil {
		return nil, err
	}
	return New(durable.Folder(folder), KernelClock{}, kernel, rand.Text()), nil
}

// At returns the stamper of a boot that the caller has counted.
func At(boot uint64, kernelBoot string, clock Clock, instance string) *Stamper {
	return &Stamper{
		boot: boot, kernelBoot: kernelBoot, clock: clock, instance: instance,
		seq: map[string]uint64{}, saved: true,
	}
}

// lastBoot is the number of the last start, 0 before the first.
func lastBoot(files durable.Files) (uint64, error) {
	text, err := durable.ReadFile(files, bootFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}

// Save writes the boot number unless it is written already. A stamper beside another one only
// reads it.
func (s *Stamper) Save() error {
	if s.beside {
		if _, err := lastBoot(s.files); err != nil {
			return fmt.Errorf("read the count of the agent's starts: %w", err)
		}
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.saved {
		return nil
	}
	if err := durable.Replace(s.files, bootFile, []byte(strconv.FormatUint(s.boot, 10)+"\n")); err != nil {
		return fmt.Errorf("count this start of the agent: %w", err)
	}
	s.saved = true
	return nil
}

// Instance is unique to this process.
func (s *Stamper) Instance() string { return s.instance }

// Boot is the number of this start of the agent.
func (s *Stamper) Boot() uint64 { return s.boot }

// Wall is t on the clock that stamps records; the zero time stays zero.
func (s *Stamper) Wall(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return s.clock.Wall(t)
}

// Stamp stamps the next record of a class, made at t.
func (s *Stamper) Stamp(class string, t time.Time) message.Stamp {
	s.mu.Lock()
	s.seq[class]++
	seq := s.seq[class]
	s.mu.Unlock()
	quality := message.ClockUnsynced
	if s.clock.Synced() {
		quality = message.ClockSynced
	}
	return message.Stamp{
		Version: message.Version,
		Time:    s.clock.Wall(t), Boot: s.boot, Seq: seq,
		MonoMS:     (s.clock.Boot() - time.Since(t)).Milliseconds(),
		KernelBoot: s.kernelBoot,
		Clock:      quality,
	}
}

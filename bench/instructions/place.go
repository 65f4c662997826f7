package instructions

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/procfs"

	"meltwatch/bench/rig"
)

// place is a machine with a folder in which its programs can be started as if they were this
// machine's own.
type place struct {
	machine
	// plant are the programs of a plant: the agent is the machine's, all others are this
	// machine's own. In the emulator, TensorFlow needs longer than the agent waits for it.
	plant rig.Programs
	// programs are those that are counted.
	programs string
}

// prepare makes the folder. In an emulated machine's, a program is a script that starts the
// emulator.
func (o Options) prepare(folder string, m machine) (place, error) {
	if len(m.emulator) == 0 {
		return place{m, o.Programs, m.bin}, nil
	}
	p := place{m, rig.Programs{Bin: folder, Model: o.Programs.Model}, filepath.Join(folder, "emulated")}
	if err := os.MkdirAll(p.programs, 0o700); err != nil {
		return place{}, err
	}
	for _, program := range []string{agent, model} {
		script := fmt.Sprintf("#!/bin/sh\nunset LD_LIBRARY_PATH # this machine's\nexec %s -plugin '%s,counts=%s' '%s' \"$@\"\n",
			strings.Join(m.emulator, " "), o.Counter, p.counts(program), filepath.Join(m.bin, program))
		if err := os.WriteFile(filepath.Join(p.programs, program), []byte(script), 0o700); err != nil {
			return place{}, err
		}
	}
	return p, errors.Join(
		os.Symlink(filepath.Join(p.programs, agent), filepath.Join(folder, agent)),
		os.Symlink(filepath.Join(o.Programs.Bin, model), filepath.Join(folder, model)),
		os.Symlink(filepath.Join(o.Programs.Bin, simulator), filepath.Join(folder, simulator)))
}

// counts is the file of a program's counts.
func (p place) counts(program string) string { return filepath.Join(p.programs, program+".counts") }

// read returns what a program has done so far; on this machine itself pid tells which process
// it is.
func (p place) read(program string, pid int) (c count, err error) {
	if len(p.emulator) == 0 {
		c.user, c.system, err = processor(pid)
		return c, err
	}
	text, err := os.ReadFile(p.counts(program))
	if err != nil {
		return c, err
	}
	const fields = 2
	if len(text) != 8*fields {
		return c, fmt.Errorf("%s: invalid length: %d bytes instead of %d", p.counts(program), len(text), 8*fields)
	}
	return count{instructions: binary.NativeEndian.Uint64(text), calls: binary.NativeEndian.Uint64(text[8:])}, nil
}

// processor returns what a process has used of the processor for itself and in the kernel. The
// kernel counts both in hundredths of a second.
func processor(pid int) (user, system time.Duration, err error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, 0, err
	}
	stat, err := process.Stat()
	const tick = 10 * time.Millisecond
	return time.Duration(stat.UTime) * tick, time.Duration(stat.STime) * tick, err
}

// wait waits until ready, for limit at most.
func wait(ctx context.Context, limit time.Duration, what string, ready func() bool) error {
	for deadline := time.Now().Add(limit); !ready(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s did not arrive within %s", what, limit)
		}
		if err := rig.Pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// Package instructions counts what the agent and the model's process execute for a second of
// work, on amd64 and on arm64, in QEMU's user mode with the plugin in the folder counter. From
// the counts it estimates the load of boards that have not been measured. A count of
// instructions is not a measurement of time: it includes no caches, no memory and no kernel.
package instructions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"meltwatch/bench/rig"
)

// Options set what is counted, and for how long.
type Options struct {
	Programs rig.Programs  // of this machine, amd64
	Counter  string        // the plugin
	Arm64    string        // folder of arm64's programs
	Root     string        // folder of arm64's C library
	Watch    time.Duration // of each setting
	Calls    int           // of each function of the model
	Progress io.Writer     // receives what has been counted
}

// The programs: the first two are counted.
const (
	agent     = "meltwatch"
	model     = "meltwatch-infer"
	simulator = "furnace-sim"
)

// machine is one way to run the programs.
type machine struct {
	name     string
	emulator []string // empty: on this machine itself
	bin      string
}

const (
	native = "native"
	amd64  = "amd64"
	arm64  = "arm64"
)

func (o Options) machines() []machine {
	return []machine{
		{native, nil, o.Programs.Bin},
		// TensorFlow needs AVX, which QEMU's default processor lacks.
		{amd64, []string{"qemu-x86_64", "-cpu", "max"}, o.Programs.Bin},
		// The Cortex-A72 has the same instructions: ARMv8.0.
		{arm64, []string{"qemu-aarch64", "-cpu", "cortex-a53", "-L", o.Root}, o.Arm64},
	}
}

// rates are the sampling rates of the meter in Hz.
func rates() []int { return []int{2, 10} }

// Run prints the counts and the estimates.
func (o Options) Run(ctx context.Context, out io.Writer) (err error) {
	if err := o.locate(); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "meltwatch-instructions-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	f := figures{}
	for _, m := range o.machines() {
		place, err := o.prepare(filepath.Join(folder, m.name), m)
		if err != nil {
			return err
		}
		for _, hertz := range rates() {
			if err := o.watch(ctx, place, hertz, f); err != nil {
				return fmt.Errorf("%s at %d Hz: %w", m.name, hertz, err)
			}
			o.tell("%s: %s: %+v", m.name, atRate(hertz), f[m.name][atRate(hertz)])
		}
		if err := o.call(ctx, place, f); err != nil {
			return fmt.Errorf("%s, the model alone: %w", m.name, err)
		}
		o.tell("%s: %+v", m.name, f[m.name])
	}
	_, err = out.Write(f.report())
	return err
}

// tell writes a line of progress.
func (o Options) tell(format string, values ...any) {
	_, _ = fmt.Fprintf(o.Progress, format+"\n", values...) // nobody needs it
}

// locate makes all paths absolute, since the programs run from elsewhere, and checks that all of
// them exist.
func (o *Options) locate() (err error) {
	for _, path := range []*string{&o.Programs.Bin, &o.Programs.Model, &o.Counter, &o.Arm64, &o.Root} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
		if _, err := os.Stat(*path); err != nil {
			return fmt.Errorf("%w: run scripts/instructions.sh", err)
		}
	}
	return nil
}

// count is what a program has done so far.
type count struct {
	instructions, calls uint64        // in user mode; of the kernel
	user, system        time.Duration // on this machine itself
}

func (c count) minus(before count) count {
	return count{c.instructions - before.instructions, c.calls - before.calls, c.user - before.user, c.system - before.system}
}

// over divides by a number of seconds or calls.
func (c count) over(n float64) spent {
	return spent{float64(c.instructions) / n, float64(c.calls) / n, c.user.Seconds() / n, c.system.Seconds() / n}
}

// spent is what a second or a call takes.
type spent struct{ instructions, calls, user, system float64 }

// figures are what was counted, by machine and work.
type figures map[string]map[string]spent

func (f figures) add(machine, work string, s spent) {
	if f[machine] == nil {
		f[machine] = map[string]spent{}
	}
	f[machine][work] = s
}

package instructions

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"meltwatch/bench/rig"
)

// tool finds a program that a bare machine lacks.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: scripts/instructions.sh installs it", name)
	}
	return path
}

func run(t *testing.T, name string, arguments ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, arguments, err, out)
	}
	return string(out)
}

// loop executes two instructions in each turn, and ten system calls.
const loop = `
#include <stdlib.h>
#include <unistd.h>
int main(int count, char **arguments) {
  long turns = atol(arguments[count - 1]);
  for (int i = 0; i < 10; i++) getppid();
  __asm__ volatile("1: dec %0\n jnz 1b" : "+r"(turns));
  return 0;
}`

// The plugin counts each instruction once, over all runs of a program.
func TestCounterCountsEachInstruction(t *testing.T) {
	compiler, emulator, folder := tool(t, "gcc"), tool(t, "qemu-x86_64"), t.TempDir()
	source, plugin := filepath.Join(folder, "loop.c"), filepath.Join(folder, "counter.so")
	if err := os.WriteFile(source, []byte(loop), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, compiler, "-O1", "-static", "-o", filepath.Join(folder, model), source)
	run(t, compiler, "-shared", "-fPIC", "-O2", "-o", plugin, "counter/counter.c")
	o := Options{Programs: rig.Programs{Bin: folder}, Counter: plugin}
	at, err := o.prepare(filepath.Join(folder, "emulated"), machine{"test", []string{emulator}, folder})
	if err != nil {
		t.Fatal(err)
	}
	var ran []count // after each run
	for _, turns := range []int{1_000_000, 3_000_000} {
		run(t, filepath.Join(at.programs, model), strconv.Itoa(turns))
		c, err := at.read(model, 0)
		if err != nil {
			t.Fatal(err)
		}
		ran = append(ran, c)
	}
	const beside = 100_000 // what the program does beside the loop
	first, second := ran[0], ran[1].minus(ran[0])
	if first.instructions < 2_000_000 || first.instructions > 2_000_000+beside {
		t.Errorf("%d instructions, 2,000,000 and few more are wanted", first.instructions)
	}
	if more := second.instructions - first.instructions; more < 4_000_000-1000 || more > 4_000_000+1000 {
		t.Errorf("two million turns more are %d instructions more, want 4,000,000", more)
	}
	if first.calls < 10 || first.calls > 100 || second.calls != first.calls {
		t.Errorf("%d system calls, then %d; want ten and few more each time", first.calls, second.calls)
	}
}

// In the place of an emulated machine its own agent is started in the emulator, beside this
// machine's model.
func TestPlaceStartsTheMachinesPrograms(t *testing.T) {
	folder := t.TempDir()
	bin := filepath.Join(folder, "arm64")
	o := Options{Programs: rig.Programs{Bin: "/native"}, Counter: "/counter.so"}
	at, err := o.prepare(filepath.Join(folder, "place"), machine{"test", []string{"echo", "-cpu", "small"}, bin})
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, filepath.Join(at.plant.Bin, agent), "run", "--config", "a file")
	want := "-cpu small -plugin /counter.so,counts=" + at.counts(agent) + " " + filepath.Join(bin, agent) + " run --config a file\n"
	if got != want {
		t.Errorf("have %q\nwant %q", got, want)
	}
	for _, program := range []string{model, simulator} {
		if target, err := os.Readlink(filepath.Join(at.plant.Bin, program)); err != nil || target != "/native/"+program {
			t.Errorf("%s is %q, %v", program, target, err)
		}
	}
}

// What this machine itself uses is read from the kernel.
func TestThisMachineTellsProcessorTime(t *testing.T) {
	var c count
	for c.user == 0 { // which takes this loop a hundredth of a second
		var err error
		if c, err = (place{}).read(agent, os.Getpid()); err != nil || c.instructions != 0 {
			t.Fatalf("%+v, %v", c, err)
		}
	}
}

// The estimate is instructions times cycles for each, over the clock; the kernel's part is that
// of this machine.
func TestReport(t *testing.T) {
	f := figures{}
	for _, w := range works() {
		f.add(native, w.name, spent{user: 0.002, system: 0.003})
		f.add(amd64, w.name, spent{instructions: 2e6, calls: 50})
		f.add(arm64, w.name, spent{instructions: 3e6, calls: 60})
	}
	got := string(f.report())
	for _, want := range []string{
		"| agent at 2 Hz, a second | 2.00 | 3.00 | 1.50 | 60 | 2.00 | 3.00 |",
		// 3e6 × 2 / 1.5 GHz = 4 ms, 3e6 × 6 / 1.2 GHz = 15 ms; × 2.5 with the kernel.
		"| agent at 2 Hz, a second | 0.4 to 1.5 % of a core | 1.0 to 3.8 % of a core | 0.2 to 0.8 % of a core | 0.6 to 2.0 % of a core |\n",
		"| a `step` of many in a row | 2.0 to 7.5 ms | 5.0 to 18.8 ms | 1.2 to 4.0 ms | 2.9 to 10.0 ms |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no row %q in\n%s", want, got)
		}
	}
}

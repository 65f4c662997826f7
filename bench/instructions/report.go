package instructions

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"meltwatch/inference"
)

// board is a computer whose load is estimated.
type board struct {
	name        string
	slow, fast  float64 // GHz
	best, worst float64 // cycles for an instruction
}

// boards have the processors of many small boxes. Their cycles for an instruction are assumed:
// at best twice what the width of their decoder allows, at worst what an in-order processor of
// this class was measured at under a language's runtime, or half of it for one that reorders.
func boards() []board {
	return []board{
		{name: "Cortex-A53 (as in Raspberry Pi 3)", slow: 1.2, fast: 1.5, best: 1, worst: 3},
		{name: "Cortex-A72 (as in Raspberry Pi 4)", slow: 1.5, fast: 1.8, best: 0.7, worst: 2},
	}
}

// work is a row of the tables.
type work struct {
	name, what string
	call       bool // counted for a call, not for a second
}

func works() (all []work) {
	for _, hertz := range rates() {
		all = append(all, work{atRate(hertz), fmt.Sprintf("agent at %d Hz, a second", hertz), false})
	}
	return append(all,
		work{withoutCamera, "model's process without a camera, a second", false},
		work{withCamera, "model's process with a camera, a second", false},
		work{inference.Step, "a `step` of many in a row", true},
		work{inference.EncodeFrame, "an `encode_frame` of many in a row", true})
}

// report is both tables in Markdown.
func (f figures) report() []byte {
	var b bytes.Buffer
	const million, thousand, percent = 1e6, 1e3, 100
	gigahertz := clock()
	fmt.Fprint(&b, "Counted, in user mode, in millions of instructions; and what this machine takes for the same:\n\n"+
		"| | amd64 | arm64 | arm64 / amd64 | system calls on arm64 | here, ms: user | system | cycles for an instruction here |\n|---|---|---|---|---|---|---|---|\n")
	for _, w := range works() {
		x86, arm, here := f[amd64][w.name], f[arm64][w.name], f[native][w.name]
		cycles := "unknown"
		if gigahertz > 0 && x86.instructions > 0 {
			cycles = fmt.Sprintf("%.1f", here.user*gigahertz*1e9/x86.instructions)
		}
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.2f | %.0f | %.2f | %.2f | %s |\n", w.what, x86.instructions/million, arm.instructions/million,
			arm.instructions/max(x86.instructions, 1), arm.calls, here.user*thousand, here.system*thousand, cycles)
	}
	fmt.Fprint(&b, "\n**Estimated** by instruction counts, not measured; user mode, and with the kernel's part as here:\n\n| |")
	for _, board := range boards() {
		fmt.Fprintf(&b, " %s, %.1f to %.1f GHz, %.1f to %.1f cycles for an instruction | with the kernel |", board.name, board.slow, board.fast, board.best, board.worst)
	}
	fmt.Fprint(&b, "\n|---|"+strings.Repeat("---|", 2*len(boards()))+"\n")
	for _, w := range works() {
		fmt.Fprintf(&b, "| %s |", w.what)
		here := f[native][w.name]
		kernel := 1.0
		if here.user > 0 {
			kernel += here.system / here.user
		}
		for _, board := range boards() {
			least, most := board.seconds(f[arm64][w.name].instructions)
			for _, times := range []float64{1, kernel} {
				if w.call {
					fmt.Fprintf(&b, " %.1f to %.1f ms |", least*times*thousand, most*times*thousand)
				} else {
					fmt.Fprintf(&b, " %.1f to %.1f %% of a core |", least*times*percent, most*times*percent)
				}
			}
		}
		fmt.Fprintln(&b)
	}
	return b.Bytes()
}

// seconds are the least and the most that a number of instructions may take.
func (b board) seconds(instructions float64) (least, most float64) {
	const giga = 1e9
	return instructions * b.best / (b.fast * giga), instructions * b.worst / (b.slow * giga)
}

// clock is this machine's clock in GHz, 0 if the kernel does not tell it.
func clock() float64 {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if key, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(key) == "cpu MHz" {
			if megahertz, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				return megahertz / 1e3
			}
		}
	}
	return 0
}

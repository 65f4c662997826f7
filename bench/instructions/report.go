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
	name       string
	slow, fast float64 // GHz
	// arithmetic is for the model, bursts for the agent, which sleeps between short bursts of
	// work and then starts with cold caches.
	arithmetic, bursts cycles
}

// cycles are the least and the most that an instruction is assumed to take.
type cycles struct{ least, most float64 }

// boards have the processors of many small boxes. For arithmetic, the least is twice what the
// width of the decoder allows, the most what an in-order processor of this class was measured
// at under a language's runtime, and two thirds of it for the one that reorders. For bursts
// both are doubled, because the server's processor, with more cache, took two to three and a
// half for them.
func boards() []board {
	return []board{
		{"Cortex-A53, as in Raspberry Pi 3", 1.2, 1.5, cycles{1, 3}, cycles{2, 6}},
		{"Cortex-A72, as in Raspberry Pi 4", 1.5, 1.8, cycles{0.7, 2}, cycles{1.4, 4}},
	}
}

// seconds are the least and the most that a number of instructions may take.
func (b board) seconds(instructions float64, c cycles) (least, most float64) {
	const giga = 1e9
	return instructions * c.least / (b.fast * giga), instructions * c.most / (b.slow * giga)
}

// work is a row of the tables.
type work struct {
	name, what   string
	call, bursts bool // counted for a call, not for a second; see board
}

func works() (all []work) {
	for _, hertz := range rates() {
		all = append(all, work{atRate(hertz), fmt.Sprintf("agent at %d Hz, a second", hertz), false, true})
	}
	return append(all,
		work{withoutCamera, "model's process without a camera, a second", false, false},
		work{withCamera, "model's process with a camera, a second", false, false},
		work{inference.Step, "a `step` of many in a row", true, false},
		work{inference.EncodeFrame, "an `encode_frame` of many in a row", true, false})
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
	fmt.Fprint(&b, "\n**Estimated** by instruction counts, not measured: in user mode, and with the kernel's part as here.")
	for _, board := range boards() {
		fmt.Fprintf(&b, " %s: %.1f to %.1f GHz, %.1f to %.1f cycles for an instruction of the model, %.1f to %.1f for one of the agent.", board.name,
			board.slow, board.fast, board.arithmetic.least, board.arithmetic.most, board.bursts.least, board.bursts.most)
	}
	fmt.Fprint(&b, "\n\n| |")
	for _, board := range boards() {
		fmt.Fprintf(&b, " %s | with the kernel |", board.name)
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
			c := board.arithmetic
			if w.bursts {
				c = board.bursts
			}
			least, most := board.seconds(f[arm64][w.name].instructions, c)
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

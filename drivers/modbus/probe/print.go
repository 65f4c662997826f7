package probe

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"meltwatch/config"
)

// advice says how sure the result is, and what to do next.
func advice(o Options, r Result) (all []string) {
	if len(r.Candidates) == 0 {
		all = append(all, "No three registers look like a furnace's currents (2 to 20 kA, alike, fluctuating).")
		if allStill(r.Areas) {
			all = append(all, "No register moved: probe again while the furnace works, and with a longer --within if the device renews its values slowly.")
		} else {
			all = append(all, "Probe again while the furnace works: without an arc there is nothing to tell currents by.")
		}
		if o.Expected == 0 {
			all = append(all, "Give the usual current by --current, if it is outside 2 to 20 kA or the registers hold a secondary current.")
		}
		return append(all, "Give other --registers or --unit, as the device's manual lists them.")
	}
	best := r.Candidates[0]
	if r.Likely {
		all = append(all, "This is likely, not certain: the registers' contents fit, their meaning is known to the manual alone.")
	} else {
		all = append(all, "This is one possibility: compare it with the others above, and with the manual.")
	}
	all = append(all, "Compare current_a, current_b and current_c with the furnace's display; a power that follows the current looks the same. The order of the phases cannot be told.")
	if best.SetPoint != nil {
		all = append(all, fmt.Sprintf("Change the set-point and see whether register %d follows; a limit or a rating is a constant too.", best.SetPoint.Address))
	} else {
		all = append(all, "No set-point was found: state.normal_current takes its place.")
	}
	all = append(all, "Then run: meltwatch check -c FILE")
	return all
}

func allStill(areas []Area) bool {
	for _, a := range areas {
		for _, w := range a.Words {
			if moves(w) {
				return false
			}
		}
	}
	return true
}

// Print writes the result for a person.
func (r Result) Print(out io.Writer) error {
	w := &printer{out: out}
	w.line("%s: %d requests, functions 1 to 4 only", r.URL, r.Requests)
	for rest := r.Units; len(rest) > 0; {
		n := unanswered(rest)
		if n > 1 {
			w.line("units %d-%d: %s", rest[0].ID, rest[n-1].ID, rest[0].Said)
		} else {
			w.line("unit %d: %s", rest[0].ID, rest[0].Said)
		}
		rest = rest[n:]
	}
	for _, note := range r.Notes {
		w.line("note: %s", note)
	}
	for _, a := range r.Registers {
		w.area(a)
	}
	for _, b := range r.Bits {
		w.bits(b)
	}
	w.line("")
	for i, c := range r.Candidates {
		w.candidate(i, c)
	}
	if r.YAML != "" {
		w.line("\n%s", strings.TrimSuffix(r.YAML, "\n"))
		w.line("%s\n", r.otherBase())
	}
	for _, sentence := range r.Verify {
		w.line("%s", sentence)
	}
	return w.err
}

// otherBase says what to write where the manual counts from 1.
func (r Result) otherBase() string {
	c := r.Candidates[0]
	text := fmt.Sprintf("# with base: 1, as most manuals count: current_a %d, current_b %d, current_c %d",
		r.Base1[config.FieldCurrentA], r.Base1[config.FieldCurrentB], r.Base1[config.FieldCurrentC])
	if at, ok := r.Base1[config.FieldSetPoint]; ok {
		text += fmt.Sprintf(", set_point %d", at)
	}
	prefix := map[int]int{3: 4, 4: 3}[c.Function]
	if c.Address[2] < 9999 {
		text += fmt.Sprintf("\n# a manual may also call them %d%04d, %d%04d, %d%04d", prefix, c.Address[0]+1, prefix, c.Address[1]+1, prefix, c.Address[2]+1)
	}
	return text
}

// printer keeps the first error of its writer.
type printer struct {
	out io.Writer
	err error
}

func (w *printer) line(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.out, format+"\n", args...)
	}
}

func (w *printer) area(a AreaRows) {
	w.line("\nunit %d, function %d: %d registers answer; each with its contents, what it may be, and how it can be read", a.Unit, a.Function, len(a.Rows))
	table := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
	for rest := a.Rows; len(rest) > 0; {
		n := alike(rest)
		row, register := rest[0], fmt.Sprint(rest[0].Register)
		if n > 1 {
			register += fmt.Sprintf("–%d", rest[n-1].Register)
		}
		if _, err := fmt.Fprintf(table, "%s\t0x%04X\t%s\t%s\n", register, row.Word, row.Guess, strings.Join(row.Read, ", ")); err != nil && w.err == nil {
			w.err = err
		}
		rest = rest[n:]
	}
	if err := table.Flush(); err != nil && w.err == nil {
		w.err = err
	}
}

// unanswered returns how many units from the first on share one line: neighbours that all
// gave no answer for the same reason.
func unanswered(units []Unit) int {
	n := 1
	for n < len(units) && !units[n].Answers && !units[0].Answers && units[n].ID == units[n-1].ID+1 && units[n].Said == units[0].Said {
		n++
	}
	return n
}

// alike returns how many rows from the first on share one line: the neighbours with the
// same contents. They are one line because most registers of most devices hold nothing.
func alike(rows []Row) int {
	n := 1
	for n < len(rows) && rows[n].Register == rows[n-1].Register+1 && rows[n].Word == rows[0].Word &&
		rows[n].Guess == rows[0].Guess && slices.Equal(rows[n].Read, rows[0].Read) {
		n++
	}
	return n
}

func (w *printer) bits(b Bits) {
	name := map[int]string{1: "coils", 2: "discrete inputs"}[b.Function]
	var set []string
	for i, on := range b.Set {
		if on {
			set = append(set, fmt.Sprint(b.First+i))
		}
	}
	if len(set) == 0 {
		set = []string{"none"}
	}
	w.line("unit %d, function %d: %d %s answer; set: %s (the agent reads bits of registers only: have the device map them)",
		b.Unit, b.Function, len(b.Set), name, strings.Join(set, " "))
}

func (w *printer) candidate(i int, c Candidate) {
	word := "currents"
	if i > 0 {
		word = "or else "
	}
	w.line("%s %s: %.0f %.0f %.0f A (score %.1f)", word, c, math.Abs(c.Current[0]), math.Abs(c.Current[1]), math.Abs(c.Current[2]), c.Score)
	w.line("         %s", strings.Join(c.Reasons, "; "))
	for _, same := range c.Same {
		w.line("         the same amperes so far: %s", same)
	}
	if c.SetPoint != nil && len(c.SetPoint.Others) > 0 {
		w.line("         other constants that fit as set_point: registers %s", strings.Trim(fmt.Sprint(c.SetPoint.Others), "[]"))
	}
}

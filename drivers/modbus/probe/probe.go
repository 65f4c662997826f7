// Package probe finds out what a Modbus device holds: which unit ids answer, which
// registers, and which of them can be an electric furnace's three-phase current.
//
// Survey reads, one request at a time and at a bounded pace, by the functions 1 to 4,
// which change nothing in a device. Infer looks for the currents in what was read; it is
// pure. Addresses count from 0, as they go over the wire. Currents are in amperes.
//
// What it cannot know: which phase is which, whether a fluctuating quantity is a current
// or a power that follows it, and what a bit means. The report says what to verify.
package probe

import (
	"context"
	"fmt"
	"strings"
	"time"

	"meltwatch/config"
	"meltwatch/drivers/modbus"
)

// Options say what is asked.
type Options struct {
	// URL and Serial are as in a meter's configuration.
	URL    string
	Serial config.Serial
	// Units and Registers are what is asked, Registers as they go over the wire.
	Units, Registers Span
	// Expected is the furnace's usual current in amperes, 0 if unknown.
	Expected float64
	// Timeout is how long a request waits for its answer.
	Timeout time.Duration
	// Pace is the least time between two requests.
	Pace time.Duration
	// Within is how long the survey may take in all.
	Within time.Duration
	// Interval is the time between two readings of a register; 0 derives it from Within.
	Interval time.Duration
}

const (
	// readings is how often each register is read: four tell a counter from a current,
	// which seldom rises three times in a row.
	readings = 4
	// intervalShare of Within is the time between two readings.
	intervalShare = 0.075
)

// Span is a range of numbers, both ends included.
type Span struct{ First, Last int }

// UnmarshalText reads 1-5, or 7 for 7-7.
func (s *Span) UnmarshalText(text []byte) error {
	first, last, ranged := strings.Cut(string(text), "-")
	if !ranged {
		last = first
	}
	n, err := fmt.Sscanf(first+" "+last+".", "%d %d.", &s.First, &s.Last)
	if err != nil || n != 2 || fmt.Sprint(s.First) != first || fmt.Sprint(s.Last) != last || s.First < 0 || s.Last < s.First {
		return fmt.Errorf("%q is not a range: give it as 1-5, or as 7 for one number", text)
	}
	return nil
}

func (s Span) String() string {
	if s.First == s.Last {
		return fmt.Sprint(s.First)
	}
	return fmt.Sprintf("%d-%d", s.First, s.Last)
}

func (s Span) size() int { return s.Last - s.First + 1 }

// check refuses what no device can be asked, in the configuration's words.
func (o Options) check() error {
	for _, unit := range []int{o.Units.First, o.Units.Last} {
		if err := checkMeter(suggestion{options: o, unit: unit}); err != nil {
			return err
		}
	}
	if o.Registers.Last > 65_535 || o.Registers.size() > mostRegisters {
		return fmt.Errorf("--registers %s: want at most %d registers up to 65535", o.Registers, mostRegisters)
	}
	if o.Timeout <= 0 || o.Pace < 0 || o.Interval < 0 {
		return fmt.Errorf("--timeout %s: give more than 0", o.Timeout)
	}
	if o.Within < time.Second || o.Within > time.Hour {
		return fmt.Errorf("--within %s is out of bounds: want 1s to 1h", o.Within)
	}
	if o.Timeout > o.Within/2 {
		return fmt.Errorf("--timeout %s is over half of --within (%s): lower it, or raise --within", o.Timeout, o.Within)
	}
	if o.Expected < 0 || o.Expected > 200_000 {
		return fmt.Errorf("--current %g is not a furnace's: give the usual current of a phase in amperes", o.Expected)
	}
	return nil
}

// Result is what was found.
type Result struct {
	Survey
	Candidates []Candidate `json:"candidates"`
	Likely     bool        `json:"likely"`
	// Registers says how each register can be read.
	Registers []AreaRows `json:"registers"`
	// Base1 are the addresses to write with base: 1.
	Base1 map[string]int `json:"addresses_with_base_1,omitempty"`
	// YAML is the section to paste into the configuration, empty without candidates.
	YAML string `json:"yaml,omitempty"`
	// Verify says what to do next, a sentence each.
	Verify []string `json:"verify"`
}

// Run surveys the device and infers. The error names the URL and the remedy; it
// wraps ctx's own if ctx has ended.
func Run(ctx context.Context, o Options) (Result, error) {
	if err := o.check(); err != nil {
		return Result{}, err
	}
	if o.Interval == 0 {
		o.Interval = time.Duration(intervalShare * float64(o.Within))
	}
	s, err := survey(ctx, o)
	if ctx.Err() != nil {
		return Result{}, fmt.Errorf("%s: interrupted: %w", o.URL, ctx.Err())
	}
	if err != nil {
		return Result{Survey: s}, fmt.Errorf("%s: %w", o.URL, err)
	}
	r := Result{Survey: s, Candidates: Infer(s.Areas, o.Expected)}
	r.Likely = Likely(r.Candidates)
	var best *Candidate
	if len(r.Candidates) > 0 {
		best = &r.Candidates[0]
		r.Base1 = best.addresses(1)
		if r.YAML, err = suggest(o, s, r.Candidates[0]); err != nil {
			return r, err
		}
	}
	for _, a := range s.Areas {
		r.Registers = append(r.Registers, AreaRows{a.Unit, a.Function, Rows(a, best)})
	}
	r.Verify = advice(o, r)
	return r, nil
}

// surveyor makes the reads of one survey.
type surveyor struct {
	options Options
	scanner *modbus.Scanner
	began   time.Time
	survey  Survey
}

// until is the time until a share of the whole has passed.
func (s *surveyor) until(share float64) time.Duration {
	return time.Until(s.began.Add(time.Duration(share * float64(s.options.Within))))
}

func (s *surveyor) note(format string, args ...any) {
	s.survey.Notes = append(s.survey.Notes, fmt.Sprintf(format, args...))
}

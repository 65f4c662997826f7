package soak

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"meltwatch/agent/message"
	"meltwatch/bench/rig"
	"meltwatch/percentile"
)

// rows is the number of printed points of the curves.
const rows = 12

// report prints the ledger and the curves, and returns what is wrong in them.
func (s *soak) report(out io.Writer) error {
	var b strings.Builder
	length := time.Duration(s.options.Minutes * float64(time.Minute))
	fmt.Fprintf(&b, "Simulator, agent with both children, and mosquitto for %s; %d outages, %s in all.\n\n", length, s.outages, s.away.Round(time.Second))
	fmt.Fprintln(&b, "| class | made | received | twice | missing |\n|---|---|---|---|---|")
	var faults []error
	for _, class := range message.Classes() {
		got, twice := s.ledger.Class(class)
		missing := s.ledger.Gaps(class)
		note := ""
		if class == message.ClassState {
			// Of the states of an outage, changes are kept and one in ten seconds.
			note = " (of an outage's states one in 10 s is kept)"
			if most := int(s.away.Seconds()) + 12*s.outages; missing > most {
				faults = append(faults, fmt.Errorf("%d states missing, outages explain %d", missing, most))
			}
		} else if missing > 0 {
			faults = append(faults, fmt.Errorf("%d of %s are missing", missing, class))
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d%s |\n", class, got+missing, got, twice, missing, note)
		if most := s.outages * rig.InFlight; twice > most {
			faults = append(faults, fmt.Errorf("%d of %s came twice, want %d at most", twice, class, most))
		}
	}
	for _, f := range s.ledger.Faults() {
		faults = append(faults, errors.New(f))
	}
	fmt.Fprintf(&b, "\nOut of order, unlike or without a name: %d.\n\n", len(s.ledger.Faults()))
	s.curves(&b)
	faults = append(faults, s.flat(&b)...)
	_, err := io.WriteString(out, b.String())
	return errors.Join(append(faults, err)...)
}

func (s *soak) curves(b *strings.Builder) {
	fmt.Fprintln(b, "| at | agent MB | model MB | camera MB | goroutines | descriptors | outbox KB | waiting |\n|---|---|---|---|---|---|---|---|")
	const mega = 1e6
	for i := range min(rows, len(s.curve)) {
		p := s.curve[i*(len(s.curve)-1)/(rows-1)]
		fmt.Fprintf(b, "| %s | %.1f | %.1f | %.1f | %d | %d | %d | %d |\n", p.at.Round(time.Second), float64(p.agent.Anonymous)/mega,
			float64(p.model.Anonymous)/mega, float64(p.camera.Anonymous)/mega, p.goroutines, p.agent.Descriptors, p.outboxBytes/1000, p.waiting)
	}
}

// flat compares the last quarter of the run with the second one, which shows a leak. In a
// run of twenty minutes these are the last five minutes and minutes five to ten.
func (s *soak) flat(b *strings.Builder) (faults []error) {
	quarter := len(s.curve) / 4
	early, late := s.curve[quarter:2*quarter], s.curve[3*quarter:]
	compare := func(what string, of func(point) int, more float64) {
		before, after := median(early, of), median(late, of)
		fmt.Fprintf(b, "- %s: %d in the second quarter, %d in the last\n", what, before, after)
		if before == 0 || float64(after) > float64(before)*(1+more) {
			faults = append(faults, fmt.Errorf("%s went from %d to %d", what, before, after))
		}
	}
	if quarter == 0 {
		return []error{errors.New("too short to compare")}
	}
	// In a short run most of the difference is the garbage collector's rhythm.
	grow := 0.05
	if s.options.Minutes < 20 {
		grow = 0.5
	}
	fmt.Fprint(b, "\nMedians:\n\n")
	compare("anonymous memory of the agent, bytes", func(p point) int { return p.agent.Anonymous }, grow)
	compare("anonymous memory of the model, bytes", func(p point) int { return p.model.Anonymous }, grow)
	compare("anonymous memory of the camera, bytes", func(p point) int { return p.camera.Anonymous }, grow)
	compare("goroutines", func(p point) int { return p.goroutines }, 0.1)
	compare("descriptors", func(p point) int { return p.agent.Descriptors }, 0.1)
	return faults
}

func median(points []point, of func(point) int) int {
	values := make([]int, len(points))
	for i, p := range points {
		values[i] = of(p)
	}
	return percentile.Of(values, 50)
}

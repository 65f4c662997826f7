package probe

import (
	"context"
	"encoding/binary"
	"slices"

	"meltwatch/drivers/modbus"
)

// run is a range of registers.
type run struct{ first, size int }

func (r run) end() int { return r.first + r.size }

// ranger finds the registers that a unit answers by one function. A range that is
// refused is divided, as the driver divides its reads. The largest ranges are asked
// first, and those beside answered ones before others, so that a search that runs out of
// time has found the most.
type ranger struct {
	*surveyor
	unit, function int
	area           Area
	open           []task
	accepted       []run
	// longest is the most registers that the device gives at once, as far as known.
	longest int
	// failed counts requests without an answer, or with a busy device's.
	failed int
	// over is why the search ended early.
	over string
}

// task is a range to ask for.
type task struct {
	run
	beside bool // an answered range adjoins it
	parent *division
}

// division is a range that was not given, and how many of its halves were.
type division struct{ halves, given int }

const (
	// maxRead is the most registers of one request.
	maxRead = 125
	// mostFailed is how many requests may fail before the search of an area ends, in which
	// nothing was found: each may cost a timeout.
	mostFailed = 24
)

func (s *surveyor) newRanger(unit, function int) *ranger {
	all := run{s.options.Registers.First, s.options.Registers.size()}
	r := &ranger{surveyor: s, unit: unit, function: function, longest: maxRead}
	r.area = Area{Unit: unit, Function: function, First: all.first, Words: make([][]uint16, all.size)}
	r.push(all, false, nil)
	return r
}

// push adds a range, in parts that the device gives at once.
func (r *ranger) push(all run, beside bool, parent *division) {
	for first := all.first; first < all.end(); first += r.longest {
		r.open = append(r.open, task{run{first, min(r.longest, all.end()-first)}, beside, parent})
	}
}

// next takes the largest range; one that adjoins an answered range counts four times.
func (r *ranger) next() task {
	best := 0
	weight := func(t task) int {
		if t.beside {
			return 4 * t.size
		}
		return t.size
	}
	for i, t := range r.open {
		if weight(t) > weight(r.open[best]) {
			best = i
		}
	}
	t := r.open[best]
	r.open = slices.Delete(r.open, best, best+1)
	return t
}

// search asks for ranges until nothing is left, or more says stop.
func (r *ranger) search(ctx context.Context, more func() bool) {
	for len(r.open) > 0 && r.over == "" && ctx.Err() == nil && more() {
		t := r.next()
		if t.size > r.longest {
			r.push(t.run, t.beside, nil)
			continue
		}
		data, err := r.readRun(ctx, r.unit, r.function, t.run)
		if err == nil {
			r.take(t, data)
		} else if ctx.Err() == nil {
			r.divide(t, err)
		}
	}
}

func (s *surveyor) readRun(ctx context.Context, unit, function int, of run) ([]byte, error) {
	return s.read(ctx, s.patience(of.size), modbus.Query{Unit: unit, Function: function, Address: of.first, Quantity: of.size})
}

// take keeps a range that was given. Where both halves of a range are given and the
// whole is not, the device limits the length of a read.
func (r *ranger) take(t task, data []byte) {
	r.area.keep(t.run, data)
	r.accepted = append(r.accepted, t.run)
	for i, other := range r.open {
		r.open[i].beside = other.beside || other.first == t.end() || other.end() == t.first
	}
	if t.parent != nil {
		if t.parent.given++; t.parent.given == 2 {
			r.longest = min(r.longest, t.parent.halves)
		}
	}
}

// divide halves a range that was not given, or ends the search.
func (r *ranger) divide(t task, err error) {
	code, refusal := modbus.ExceptionCode(err)
	busy := refusal && (code == 5 || code == 6)
	about := refusal && (code == 2 || code == 3) // the registers
	switch {
	case modbus.Unreachable(err), refusal && gateway(code):
		r.over = err.Error()
		return
	case refusal && code == 1:
		r.over = "the function is refused"
		return
	case !about:
		r.failed++
	}
	switch {
	case r.failed >= mostFailed && len(r.accepted) == 0:
		r.over = "the search ended early, because several reads failed: " + err.Error() + "; give fewer --registers, or a longer --timeout"
	case busy:
		r.open = append(r.open, t)
	case t.size > 1:
		half := t.size / 2
		if half > 1 {
			half += half % 2 // values of two registers stay whole
		}
		d := &division{halves: max(half, t.size-half)}
		r.push(run{t.first, half}, t.beside, d)
		r.push(run{t.first + half, t.size - half}, t.beside, d)
	}
}

// merged are the accepted ranges in order, adjoining ones joined as far as the device
// gives as many at once.
func (r *ranger) merged() (all []run) {
	slices.SortFunc(r.accepted, func(a, b run) int { return a.first - b.first })
	for _, one := range r.accepted {
		if n := len(all); n > 0 && all[n-1].end() == one.first && all[n-1].size+one.size <= r.longest {
			all[n-1].size += one.size
			continue
		}
		all = append(all, one)
	}
	return all
}

// repeatsArea reports whether the area holds the same registers as one that is known: many
// devices answer function 4 like 3, or ignore the unit id. The known registers are read
// before and after.
func (s *surveyor) repeatsArea(ctx context.Context, r *ranger, known *ranger) bool {
	if len(known.accepted) == 0 {
		return false
	}
	probe := slices.MaxFunc(known.accepted, func(a, b run) int { return a.size - b.size })
	before, err := s.readRun(ctx, known.unit, known.function, probe)
	if err != nil {
		return false
	}
	data, err := s.readRun(ctx, r.unit, r.function, probe)
	if code, refused := modbus.ExceptionCode(err); refused && code == 1 {
		r.over = "the function is refused"
	}
	if err != nil {
		return false
	}
	after, err := s.readRun(ctx, known.unit, known.function, probe)
	if err != nil {
		return false
	}
	constants := map[uint16]bool{}
	exact := true
	for i := 0; i < 2*probe.size; i += 2 {
		b, d, a := binary.BigEndian.Uint16(before[i:]), binary.BigEndian.Uint16(data[i:]), binary.BigEndian.Uint16(after[i:])
		exact = exact && (d == b || d == a)
		still := a == b && a == known.area.at(probe.first + i/2)[0]
		if still && a != d {
			return false
		}
		if still && a != 0 {
			constants[a] = true
		}
	}
	// Two constants could be alike in two devices of one make; so many could not.
	return exact && varied(data) || len(constants) >= 3
}

// varied reports whether registers hold more than one value.
func varied(data []byte) bool {
	for i := 2; i+1 < len(data); i += 2 {
		if data[i] != data[0] || data[i+1] != data[1] {
			return true
		}
	}
	return false
}

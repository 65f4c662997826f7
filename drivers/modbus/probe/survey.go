package probe

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"meltwatch/config"
	"meltwatch/drivers/modbus"
	"meltwatch/retry"
)

// Survey is what a device answered.
type Survey struct {
	URL string `json:"url"`
	// Units are the unit ids that were asked.
	Units []Unit `json:"units"`
	// Areas are the registers that were read; an area that repeats another is left out,
	// and Notes say so.
	Areas []Area `json:"areas"`
	Bits  []Bits `json:"bits"`
	// Notes are remarks on what was not read and why, and on unusual behaviour.
	Notes []string `json:"notes"`
	// Requests counts the reads that were made.
	Requests int `json:"requests"`
	// Slowest is the longest time that an answer took.
	Slowest time.Duration `json:"-"`

	// reads are the searches of each area, which know the accepted requests.
	reads map[areaKey]*ranger
}

// Unit is a unit id and what came of it.
type Unit struct {
	ID      int    `json:"id"`
	Answers bool   `json:"answers"`
	Said    string `json:"said"`
}

// Bits are coils (function 1) or discrete inputs (function 2).
type Bits struct {
	Unit     int `json:"unit"`
	Function int `json:"function"`
	// First is the address of Set[0].
	First int    `json:"first"`
	Set   []bool `json:"set"`
}

type areaKey struct{ unit, function int }

// Shares of the time after which each stage stops asking for more, so that the readings
// always have theirs.
const (
	unitsShare, mapShare, bitsShare = 0.5, 0.65, 0.68
	// mostUnits bounds the units whose registers are read.
	mostUnits = 8
)

// connectTimeout is how long a connection may take: two lost packets are made up for.
const connectTimeout = 4 * time.Second

// survey asks units, registers and bits, and then reads all registers again a few times.
func survey(ctx context.Context, o Options) (Survey, error) {
	s := &surveyor{options: o, began: time.Now(), survey: Survey{URL: o.URL, reads: map[areaKey]*ranger{}}}
	var err error
	if s.scanner, err = modbus.NewScanner(config.Meter{URL: o.URL, Serial: o.Serial}, o.Pace); err != nil {
		return s.survey, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Within)
	defer cancel()
	defer s.scanner.Close()
	if err := s.scanner.Open(ctx, min(connectTimeout, o.Within/2)); err != nil {
		return s.survey, fmt.Errorf("%w: %s", err, s.unreachable())
	}
	units, err := s.askUnits(ctx)
	if err != nil {
		return s.survey, err
	}
	if len(units) > mostUnits {
		s.note("of the units that answer only the first %d were read: give --unit to see others", mostUnits)
		units = units[:mostUnits]
	}
	s.mapUnits(ctx, units)
	s.readAgain(ctx)
	s.survey.Notes = append(s.survey.Notes, s.scanner.Quirks()...)
	if len(s.survey.Areas) == 0 {
		return s.survey, fmt.Errorf("unit %d gives none of the registers %s by function 3 or 4 (it %s): give other --registers, as the manual lists them",
			units[0], o.Registers, s.said(units[0]))
	}
	return s.survey, nil
}

func (s *surveyor) said(unit int) string {
	for _, u := range s.survey.Units {
		if u.ID == unit {
			return u.Said
		}
	}
	return ""
}

// patience is how long a read of n registers may take, once answers have come: known
// devices answer at an even pace, and the wire behind a gateway adds its time.
func (s *surveyor) patience(n int) time.Duration {
	if s.survey.Slowest == 0 {
		return s.options.Timeout
	}
	const slowestWire = 11 * time.Second / 9600 // of a byte
	return min(s.options.Timeout, 4*s.survey.Slowest+100*time.Millisecond+time.Duration(5+2*n)*slowestWire)
}

// read makes one request and counts it.
func (s *surveyor) read(ctx context.Context, timeout time.Duration, q modbus.Query) ([]byte, error) {
	s.survey.Requests++
	data, took, err := s.scanner.Read(ctx, timeout, q)
	if err == nil {
		s.survey.Slowest = max(s.survey.Slowest, took)
	}
	return data, err
}

// mapUnits finds the registers of each unit, and its bits. Each area first has its share
// of the time; what is left of it then goes to those that are not finished.
func (s *surveyor) mapUnits(ctx context.Context, units []int) {
	var own []*ranger
	repeating := map[int][]string{} // the units that give the registers of another
	for i, unit := range units {
		if known := s.repeatedUnit(ctx, own, unit); known >= 0 {
			repeating[known] = append(repeating[known], fmt.Sprint(unit))
			continue
		}
		for _, function := range []int{3, 4} {
			r := s.newRanger(unit, function)
			if function == 4 && s.repeatsArea(ctx, r, own[len(own)-1]) {
				s.note("unit %d gives the same registers by function 4 as by function 3", unit)
				continue
			}
			areas := 2*(len(units)-i) + 3 - function
			until := time.Now().Add(s.until(mapShare) / time.Duration(areas))
			r.search(ctx, func() bool { return time.Now().Before(until) })
			own = append(own, r)
		}
	}
	for _, known := range slices.Sorted(maps.Keys(repeating)) {
		s.note("unit ids %s: the same registers as unit %d; the device may ignore the unit id", strings.Join(repeating[known], ", "), known)
	}
	for _, r := range own {
		r.search(ctx, func() bool { return s.until(mapShare) > 0 })
		s.keepArea(r)
	}
	for _, unit := range units {
		for _, function := range []int{1, 2} {
			if s.until(bitsShare) > 0 && ctx.Err() == nil && s.holds(unit) {
				s.readBits(ctx, unit, function)
			}
		}
	}
}

// repeatedUnit is the unit whose registers this one gives too, −1 if there is none.
func (s *surveyor) repeatedUnit(ctx context.Context, own []*ranger, unit int) int {
	for _, known := range own {
		if s.repeatsArea(ctx, s.newRanger(unit, known.function), known) {
			return known.unit
		}
	}
	return -1
}

// keepArea notes what became of a search.
func (s *surveyor) keepArea(r *ranger) {
	switch {
	case r.over != "":
		s.note("unit %d, function %d: %s", r.unit, r.function, r.over)
	case len(r.open) > 0:
		s.note("unit %d, function %d: not all of the registers %s were asked for want of time: raise --within, or give fewer --registers", r.unit, r.function, s.options.Registers)
	}
	if len(r.accepted) == 0 {
		return
	}
	for i, w := range r.area.Words {
		r.area.Words[i] = slices.Clone(w)
	}
	s.survey.Areas = append(s.survey.Areas, r.area)
	s.survey.reads[areaKey{r.unit, r.function}] = r
}

// holds reports whether the unit has an area of its own.
func (s *surveyor) holds(unit int) bool {
	return slices.ContainsFunc(s.survey.Areas, func(a Area) bool { return a.Unit == unit })
}

// readBits reads coils or discrete inputs, in halves if the whole range is refused.
func (s *surveyor) readBits(ctx context.Context, unit, function int) {
	first := s.options.Registers.First
	for n := s.options.Registers.size(); n >= 8; n /= 2 {
		data, err := s.read(ctx, s.patience(n/16), modbus.Query{Unit: unit, Function: function, Address: first, Quantity: n})
		if err == nil {
			b := Bits{Unit: unit, Function: function, First: first, Set: make([]bool, n)}
			for i := range b.Set {
				b.Set[i] = data[i/8]>>(i%8)&1 == 1
			}
			s.survey.Bits = append(s.survey.Bits, b)
			return
		}
		if code, refused := modbus.ExceptionCode(err); !refused || code == 1 {
			return
		}
	}
}

// readAgain reads every area until each has its readings. Adjoining ranges are read at
// once if the device gives them so.
func (s *surveyor) readAgain(ctx context.Context) {
	plans := make([][]run, len(s.survey.Areas))
	for i, a := range s.survey.Areas {
		plans[i] = s.survey.reads[areaKey{a.Unit, a.Function}].merged()
	}
	complete := 1
	for ; complete < readings; complete++ {
		retry.Sleep(ctx, s.options.Interval)
		for i := range s.survey.Areas {
			plans[i] = s.readArea(ctx, &s.survey.Areas[i], plans[i])
		}
		if ctx.Err() != nil {
			break
		}
	}
	for _, a := range s.survey.Areas {
		a.trim(complete)
	}
}

// readArea makes one reading of an area, and returns the ranges for the next one.
func (s *surveyor) readArea(ctx context.Context, a *Area, plan []run) (next []run) {
	known := s.survey.reads[areaKey{a.Unit, a.Function}].accepted
	for _, all := range plan {
		data, err := s.readRun(ctx, a.Unit, a.Function, all)
		if err == nil {
			a.keep(all, data)
			next = append(next, all)
			continue
		}
		if slices.Contains(known, all) || ctx.Err() != nil {
			next = append(next, all)
			continue
		}
		for _, part := range known {
			if part.first >= all.first && part.end() <= all.end() {
				next = append(next, part)
				if data, err := s.readRun(ctx, a.Unit, a.Function, part); err == nil {
					a.keep(part, data)
				}
			}
		}
	}
	return next
}

// keep adds one reading of a run of registers.
func (a *Area) keep(r run, data []byte) {
	for i := range r.size {
		w := &a.Words[r.first-a.First+i]
		*w = append(*w, binary.BigEndian.Uint16(data[2*i:]))
	}
}

// trim leaves out readings that were not completed, and registers that were not read as
// often as the others.
func (a *Area) trim(complete int) {
	most := 0
	for _, w := range a.Words {
		most = max(most, len(w))
	}
	most = min(most, complete)
	for i, w := range a.Words {
		if len(w) < most {
			a.Words[i] = nil
		} else if w != nil {
			a.Words[i] = w[:most]
		}
	}
}

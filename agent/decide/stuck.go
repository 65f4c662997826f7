package decide

import (
	"fmt"
	"math"
	"time"

	"meltwatch/drivers"
)

// stuckReadings detects phases whose reading does not change although the furnace is
// working: the meter no longer updates the register.
//
// A register resolves amperes in steps. Quiet abnormal current moves by tens of
// amperes a second, so a phase that reads the same for 15 s in steps of up to
// stuckStep is stuck. In coarser steps a quiet current, which is the alarm, may read
// the same too; such a phase counts as stuck only while another phase moves by many
// of its steps. The readings of an idle furnace never count: an electrode may be
// raised, and the meter then reads its own offset.
//
// Meters with a fixed number of digits have coarser steps at higher currents, so the
// steps are those of the last changes.
type stuckReadings struct {
	last   [drivers.Phases]float64
	seen   bool
	newest time.Time
	phases [drivers.Phases]stuckPhase
}

type stuckPhase struct {
	// since is when the phase first read its present value, and same counts its
	// readings since.
	since time.Time
	same  int
	// changes are the last changes in amperes, unordered; changed counts all of them.
	changes [stuckChanges]float64
	changed int
	// low and high bound the phase's readings since another phase stopped changing:
	// one pair for each other phase.
	low, high [drivers.Phases]float64
}

const (
	// A phase is stuck when its reading has not changed for stuckAfter and stuckReads
	// readings.
	stuckAfter = 15 * time.Second
	stuckReads = 10
	// stuckStep is the coarsest resolution, in amperes, at which a quiet current is
	// certain to move within stuckAfter.
	stuckStep = 20
	// stuckSwing is the movement of another phase, in steps of the stuck phase, that
	// makes a phase with coarser steps count as stuck.
	stuckSwing = 20
	// stuckChanges is the number of changes from which a register's resolution is
	// computed.
	stuckChanges = 64
	// fineStep is the finest resolution that matters, in amperes. It is far above the
	// error of a float32 and far under stuckStep.
	fineStep = 1
)

func (r *stuckReadings) sample(s drivers.Sample) {
	for i := range r.phases {
		p := &r.phases[i]
		change := math.Abs(s.Current[i] - r.last[i])
		if r.seen && change == 0 {
			p.same++
			continue
		}
		if r.seen {
			p.changes[p.changed%stuckChanges] = change
			p.changed++
		}
		p.since, p.same = s.Time, 1
		for other := range r.phases { // this phase has changed, so their swing restarts
			r.phases[other].low[i], r.phases[other].high[i] = s.Current[other], s.Current[other]
		}
	}
	for i := range r.phases {
		p := &r.phases[i]
		for other := range r.phases {
			p.low[other] = min(p.low[other], s.Current[i])
			p.high[other] = max(p.high[other], s.Current[i])
		}
	}
	r.last, r.seen, r.newest = s.Current, true, s.Time
}

// step is the resolution of the phase's register in amperes: the largest step of which
// the last changes are multiples. The smallest change does not suffice, because a
// lively current rarely moves by one step. It is 0 before the first change.
func (p *stuckPhase) step() float64 {
	step := 0.0
	for _, change := range p.changes[:min(p.changed, stuckChanges)] {
		step = commonStep(step, change)
	}
	return step
}

// commonStep is the greatest common divisor of two positive numbers of amperes, to
// fineStep.
func commonStep(a, b float64) float64 {
	for b >= fineStep {
		a, b = b, math.Abs(a-math.Round(a/b)*b)
	}
	return max(a, fineStep)
}

// cause names the stuck phases; it is empty if none is stuck. idle is the current in
// amperes below which the furnace is idle.
func (r *stuckReadings) cause(idle float64) string {
	names := ""
	for i := range r.phases {
		p := &r.phases[i]
		if math.Abs(r.last[i]) <= idle || r.newest.Sub(p.since) < stuckAfter || p.same < stuckReads {
			continue
		}
		step := r.step(i)
		if step <= stuckStep || r.swing(i) >= stuckSwing*step {
			names += string(rune('a' + i))
		}
	}
	if names == "" {
		return ""
	}
	return fmt.Sprintf("phase %s reads the same for %.0f s", names, stuckAfter.Seconds())
}

// step is the resolution of a phase's readings in amperes. Until the phase has changed,
// it is the smallest step of the other phases, which the same meter reads. If none has
// changed, it is the largest power of ten that divides all readings.
func (r *stuckReadings) step(phase int) float64 {
	if own := r.phases[phase].step(); own > 0 {
		return own
	}
	step := 0.0
	for i := range r.phases {
		if other := r.phases[i].step(); other > 0 && (step == 0 || other < step) {
			step = other
		}
	}
	if step > 0 {
		return step
	}
	for step = 1000; step > 1; step /= 10 {
		divides := true
		for _, amperes := range r.last {
			divides = divides && math.Mod(amperes, step) == 0
		}
		if divides {
			break
		}
	}
	return step
}

// swing is the largest movement of another phase since this one stopped changing.
func (r *stuckReadings) swing(phase int) float64 {
	most := 0.0
	for i := range r.phases {
		if i != phase {
			most = max(most, r.phases[i].high[phase]-r.phases[i].low[phase])
		}
	}
	return most
}

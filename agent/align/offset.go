package align

import (
	"math"
	"slices"
	"time"

	"meltwatch/inference"
)

// Offset finds how late the video is against the current, and how much of that
// the aligner should take back.
//
// Both senses are stamped on arrival at one clock, so what is left between them
// is the delay of one sense's own pipeline: an encoder's, a PLC's refresh. The
// model says how badly frames match the current taken some seconds later or
// earlier (local_loss). One window's curve says little; the mean over Pool
// windows that hold an event dips where the senses meet. Most of the curve's other
// course is slow: how well the furnace's state fits the frames at all. So the dip
// is sought not at the least loss but where it lies deepest under the losses DipS
// to both sides.
//
// A curve is kept with its window's VideoLag, which turns "shift s of this
// window" into "lateness VideoLag − s of the camera". On that axis curves taken
// under different corrections can be pooled, and the estimate does not depend on
// the correction: there is no loop between them that could swing.
//
// Only event windows teach and only they move the correction, by StepSPerMin at
// most. It never jumps: a window under a correction that jumped would hold frames
// that the model never saw so.
//
// It is owned by one goroutine.
type Offset struct {
	spec   inference.Offset
	frames time.Duration // that a window's frames span
	agree  float64       // seconds within which the parts of a pool must agree

	curves     []curve // oldest first, Pool at most
	estimate   Estimate
	known      bool
	correction time.Duration
	last       time.Time // end of the last window, zero before the first
}

// Estimate is how late the video is.
type Estimate struct {
	// Seconds is positive while the video is late.
	Seconds float64
	// Spread is the standard deviation of what the parts of the pool say, in
	// seconds.
	Spread float64
	// Windows is how many windows it rests on.
	Windows int
}

// curve is one window's loss by shift, as far as it lies above those beside it, and
// the window's VideoLag in seconds.
type curve struct {
	lag  float64
	loss []float64
}

// parts is into how many stretches of time a pool is cut: each must find the same
// offset by itself. Chance has a least value too, but not four times at one place.
const parts = 4

// NewOffset returns an estimator that knows nothing; nil for a model that does
// not answer local_loss.
func NewOffset(m *inference.Manifest) *Offset {
	if m.Offset == nil {
		return nil
	}
	g := GeometryOf(m)
	return &Offset{
		spec:   *m.Offset,
		frames: time.Duration(g.Frames) * g.FramePeriod,
		// A frame's own slot is the finest step that a correction can make.
		agree: g.FramePeriod.Seconds(),
	}
}

// Restart forgets what was learnt: another model reads the senses in another way,
// a camera opened anew may run another delay. The correction stays, because it
// must not jump and because the plant's delay is most likely what it was.
func (o *Offset) Restart() {
	o.curves, o.estimate, o.known = nil, Estimate{}, false
}

// Observe takes what the model answered for a window in which both senses could
// be believed. loss has one value for each of the manifest's shifts.
func (o *Offset) Observe(w Window, loss []float32) {
	elapsed := o.elapsed(w.End)
	if w.Swing(o.frames) <= o.spec.EventAmps {
		return
	}
	o.curves = append(o.curves, curve{w.VideoLag.Seconds(), o.prominence(loss)})
	o.curves = slices.Delete(o.curves, 0, max(len(o.curves)-o.spec.Pool, 0))
	o.estimate, o.known = o.pool()
	if o.known {
		o.follow(elapsed)
	}
}

// prominence is how far each loss lies above the mean of those DipS to both sides; the
// losses themselves where DipS is 0. Beyond an end its own value goes on.
func (o *Offset) prominence(loss []float32) []float64 {
	raw, shifts, aside := make([]float64, len(loss)), o.spec.ShiftsS, o.spec.ProminenceS
	for i, l := range loss {
		raw[i] = float64(l)
	}
	// What is flat but for rounding would not look so once it is taken from itself.
	if flat(raw) {
		return make([]float64, len(loss))
	}
	if aside == 0 {
		return raw
	}
	first, last := shifts[0], shifts[len(shifts)-1]
	out := make([]float64, len(loss))
	for i, shift := range shifts {
		out[i] = raw[i] - (o.at(raw, max(shift-aside, first))+o.at(raw, min(shift+aside, last)))/2
	}
	return out
}

// elapsed is the time since the window before, at most a second: after a gap the
// correction goes on as slowly as before it.
func (o *Offset) elapsed(end time.Time) time.Duration {
	before := o.last
	o.last = end
	if before.IsZero() {
		return 0
	}
	return min(max(end.Sub(before), 0), time.Second)
}

// follow moves the correction towards the estimate.
func (o *Offset) follow(elapsed time.Duration) {
	most := seconds(o.spec.MaxS)
	goal := min(max(seconds(o.estimate.Seconds), -most), most)
	step := time.Duration(o.spec.StepSPerMin / 60 * float64(elapsed))
	o.correction += min(max(goal-o.correction, -step), step)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Estimate is the newest; false while nothing can be said.
func (o *Offset) Estimate() (Estimate, bool) { return o.estimate, o.known }

// Correction is what the aligner should take off the video's stamps.
func (o *Offset) Correction() time.Duration { return o.correction }

// pool estimates from all curves, if there are enough and their parts agree.
func (o *Offset) pool() (Estimate, bool) {
	n := len(o.curves)
	if n < o.spec.Pool {
		return Estimate{}, false
	}
	whole, ok := o.least(o.curves)
	if !ok {
		return Estimate{}, false
	}
	var squares float64
	for part := range parts {
		alone, ok := o.least(o.curves[part*n/parts : (part+1)*n/parts])
		if !ok {
			return Estimate{}, false
		}
		squares += (alone - whole) * (alone - whole)
	}
	spread := math.Sqrt(squares / parts)
	return Estimate{Seconds: whole, Spread: spread, Windows: n}, spread <= o.agree
}

// least is the lateness in seconds at which the mean of the curves is least. There
// is none at an edge, for the truth may lie beyond; a flat mean counts as least there.
func (o *Offset) least(curves []curve) (lateness float64, ok bool) {
	at, mean := o.mean(curves)
	best := 0
	for i := range mean {
		if mean[i] < mean[best] {
			best = i
		}
	}
	if best == 0 || best+1 >= len(mean) {
		return 0, false
	}
	return vertex([3]float64(at[best-1:best+2]), [3]float64(mean[best-1:best+2])), true
}

// mean is the mean curve by lateness, as far as every curve reaches.
func (o *Offset) mean(curves []curve) (at, mean []float64) {
	var lag float64
	for _, c := range curves {
		lag += c.lag / float64(len(curves))
	}
	for _, shift := range o.spec.ShiftsS {
		var sum float64
		for _, c := range curves {
			sum += o.at(c.loss, shift+c.lag-lag)
		}
		if !math.IsNaN(sum) {
			at, mean = append(at, lag-shift), append(mean, sum/float64(len(curves)))
		}
	}
	return at, mean
}

// at is a curve's value at a shift, between two neighbours on a line; NaN beyond its
// ends.
func (o *Offset) at(loss []float64, shift float64) float64 {
	shifts := o.spec.ShiftsS
	for i := 1; i < len(shifts); i++ {
		if shifts[i-1]-rounding <= shift && shift <= shifts[i]+rounding {
			share := (shift - shifts[i-1]) / (shifts[i] - shifts[i-1])
			return loss[i-1]*(1-share) + loss[i]*share
		}
	}
	return math.NaN()
}

// rounding is what float32 leaves of a difference between equal values, relative
// to them.
const rounding = 1e-6

// flat reports whether nothing but rounding tells a curve's values apart.
func flat(values []float64) bool {
	least, most := values[0], values[0]
	for _, v := range values {
		least, most = min(least, v), max(most, v)
	}
	return most-least <= rounding*max(math.Abs(least), math.Abs(most))
}

// vertex is where the parabola through three points is least; y[1] is the least
// of the three.
func vertex(x, y [3]float64) float64 {
	left, right := x[1]-x[0], x[1]-x[2]
	a, b := left*(y[1]-y[2]), right*(y[1]-y[0])
	if a == b { // three equal values
		return x[1]
	}
	return x[1] - (left*a-right*b)/(2*(a-b))
}

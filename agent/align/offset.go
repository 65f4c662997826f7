package align

import (
	"math"
	"slices"
	"time"

	"meltwatch/inference"
)

// Offset estimates how late the video is against the current, and the correction that
// the aligner should apply.
//
// Both senses are stamped on arrival by one clock. The remaining difference is the
// delay of one sense's pipeline, such as a video encoder or a PLC's refresh. The
// model's local_loss tells how badly frames match the current taken some seconds later
// or earlier. One window's curve is too noisy; the mean over Pool windows with an event
// has a dip where the senses match. The rest of the curve changes slowly with the
// furnace's state. The dip is therefore not the least loss, but the point that lies
// deepest below the losses DipS to both sides.
//
// A curve is kept with its window's VideoLag, which converts "shift s of this window"
// to "lateness VideoLag − s of the camera". On that axis, curves taken under different
// corrections can be pooled. The estimate does not depend on the correction, so the two
// cannot oscillate.
//
// Only windows with an event update the estimate and the correction, the latter by
// StepSPerMin at most. The correction never jumps, because the model was not trained on
// windows whose frames are shifted against each other.
//
// It is owned by one goroutine.
type Offset struct {
	spec   inference.Offset
	frames time.Duration // span of a window's frames
	agree  float64       // largest spread of the pool's parts, in seconds
	most   time.Duration // largest correction either way

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
	// Spread is the standard deviation of the estimates from the parts of the pool, in
	// seconds.
	Spread float64
	// Windows is the number of windows that the estimate is based on.
	Windows int
}

// curve is the prominence of one window's loss by shift, and the window's VideoLag in
// seconds.
type curve struct {
	lag  float64
	loss []float64
}

// parts is the number of consecutive parts of a pool, each of which must find the same
// offset. Noise has a minimum too, but not at the same shift in all four parts.
const parts = 4

// NewOffset returns an empty estimator, or nil for a model without the output
// local_loss.
func NewOffset(m *inference.Manifest) *Offset {
	if m.Offset == nil {
		return nil
	}
	g := GeometryOf(m)
	return &Offset{
		spec:   *m.Offset,
		frames: time.Duration(g.Frames) * g.FramePeriod,
		// A slot is the finest step of a correction.
		agree: g.FramePeriod.Seconds(),
		most:  seconds(m.Offset.MaxS),
	}
}

// Restart discards the estimate: another model reads the senses differently, and a
// reopened camera may have another delay. The correction stays, because it must not
// jump and the plant's delay has most likely not changed.
func (o *Offset) Restart() {
	o.curves, o.estimate, o.known = nil, Estimate{}, false
}

// StartAt sets the correction to a delay that is known, and discards the estimate.
func (o *Offset) StartAt(delay time.Duration) {
	o.Restart()
	o.correction = delay
	o.most = max(seconds(o.spec.MaxS), delay.Abs())
}

// Observe takes the model's local loss for a window in which both senses were live.
// loss has one value for each of the manifest's shifts.
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

// prominence is the difference between each loss and the mean of the losses DipS to
// both sides, or the loss itself if DipS is 0. Beyond its ends a curve is constant.
func (o *Offset) prominence(loss []float32) []float64 {
	raw, shifts, aside := make([]float64, len(loss)), o.spec.ShiftsS, o.spec.ProminenceS
	for i, l := range loss {
		raw[i] = float64(l)
	}
	// The difference of a curve that is flat but for rounding would not look flat.
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

// elapsed is the time since the previous window, at most a second: a gap does not make
// the correction move faster.
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
	goal := min(max(seconds(o.estimate.Seconds), -o.most), o.most)
	step := time.Duration(o.spec.StepSPerMin / 60 * float64(elapsed))
	o.correction += min(max(goal-o.correction, -step), step)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Estimate returns the newest estimate, and false while there is none.
func (o *Offset) Estimate() (Estimate, bool) { return o.estimate, o.known }

// Correction is what the aligner should subtract from the video's stamps.
func (o *Offset) Correction() time.Duration { return o.correction }

// pool estimates the lateness from all curves. It returns false if there are too few or
// their parts disagree.
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

// least is the lateness in seconds at which the mean of the curves is least. A minimum
// at an edge does not count, because the true one may lie beyond; a flat mean has its
// minimum at the edge.
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

// mean is the mean curve by lateness, where all curves have a value.
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

// at is a curve's value at a shift, interpolated between its neighbours; NaN beyond its
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

// rounding is the relative error of a float32 difference between equal values.
const rounding = 1e-6

// flat reports whether a curve's values differ by rounding only.
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

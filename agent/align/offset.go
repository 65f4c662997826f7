package align

import (
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
// or earlier. One window's curve is too noisy; the mean over many windows with an event
// has a dip where the senses match. The rest of the curve changes slowly with the
// furnace's state. The dip is therefore not the least loss, but the point that lies
// deepest below the losses DipS to both sides.
//
// An estimate is known while its confidence, a regression of the manifest on features of
// the pooled curve, reaches the manifest's threshold. The pool grows up to Pool windows.
// After a change of the delay its older windows contradict the newer ones; then the newest
// half, quarter and so on are tried, so they cannot hold an estimate that is over.
// A manifest without a confidence keeps the rule of earlier releases: Pool windows, all
// quarters of which agree.
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
	// Confidence is the probability that the estimate is right, as the manifest's regression
	// gives it; 0 without one, with too few windows, and without a dip.
	Confidence float64
}

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
	o.DropOld(w.End)
	if w.Swing(o.frames) <= o.spec.EventAmps || !finite(loss) {
		return
	}
	o.curves = append(o.curves, curve{w.End, w.VideoLag.Seconds(), o.prominence(loss)})
	o.curves = slices.Delete(o.curves, 0, max(len(o.curves)-o.spec.Pool, 0))
	o.estimate, o.known = o.estimated()
	if o.known {
		o.follow(elapsed)
	}
}

// maxAge is for how long a window counts. A delay may change while the furnace shows no
// event, and what was seen in an earlier shift then says nothing about it.
const maxAge = 8 * time.Hour

// DropOld drops the windows that are older than maxAge at now, and what they showed, also
// while none is observed. Without a confidence they stay until enough newer ones have come.
func (o *Offset) DropOld(now time.Time) {
	if o.spec.Confidence == nil || len(o.curves) == 0 || now.Sub(o.curves[0].end) <= maxAge {
		return
	}
	o.curves = slices.DeleteFunc(o.curves, func(c curve) bool { return now.Sub(c.end) > maxAge })
	o.estimate, o.known = o.estimated()
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

// Estimate returns the newest estimate, and whether it is known. Of one that is not, only
// the confidence means something.
func (o *Offset) Estimate() (Estimate, bool) { return o.estimate, o.known }

// Correction is what the aligner should subtract from the video's stamps.
func (o *Offset) Correction() time.Duration { return o.correction }

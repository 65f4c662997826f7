// Package align places samples of current and frames of video on one time grid: the
// window from which the model decides.
//
// A window ends at t_end. Sample slot i of n stands at t_end − (n−1−i) periods,
// frame slot k likewise. A slot holds the one value whose stamp is nearest, if
// that is within half a period; otherwise the slot is masked. No value fills two
// slots and none is interpolated: what was not measured is absent. Polls faster
// than the grid are thereby thinned, gaps stay gaps.
//
// t_end lies on the grid of the poll schedule, which the aligner learns from the
// stamps themselves, so that the jitter of a single poll moves no slot.
//
// The delay of one sense's pipeline can be corrected: Correct subtracts a duration from
// the video's stamps before frames are placed in slots. Offset estimates that duration.
//
// Stamps are taken by the host and compared by Go's monotonic reading, so a jump of the
// wall clock has no effect. Samples and frames are kept for the length of a window plus
// the largest correction. Their number is bounded.
package align

import (
	"math"
	"time"

	"meltwatch/drivers"
	"meltwatch/inference"
)

// Geometry is the shape of a window, taken from a model's manifest.
type Geometry struct {
	SamplePeriod time.Duration
	Samples      int
	FramePeriod  time.Duration
	Frames       int
	// FrameTokens is the length of one encoded frame: tokens × dimension.
	FrameTokens int
	// MostCorrection is how far the video may be corrected either way.
	MostCorrection time.Duration
}

// GeometryOf reads the geometry from a manifest.
func GeometryOf(m *inference.Manifest) Geometry {
	g := Geometry{
		SamplePeriod: period(m.Current.RateHz),
		Samples:      m.Current.Samples,
		FramePeriod:  period(m.Video.RateHz),
		Frames:       m.Video.Frames,
		FrameTokens:  m.Video.Tokens * m.Video.Dim,
	}
	if m.Offset != nil {
		g.MostCorrection = seconds(m.Offset.MaxS)
	}
	return g
}

func period(hertz float64) time.Duration {
	return time.Duration(math.Round(float64(time.Second) / hertz))
}

// EncodedFrame is the output of the model's encoder for one frame.
type EncodedFrame struct {
	Time time.Time
	// Tokens is FrameTokens long; the aligner keeps the slice.
	Tokens []float32
	// Evidence is the model's attention over this frame; it may be nil.
	Evidence []float32
}

// Window holds what both senses measured up to one instant.
type Window struct {
	// End is t_end.
	End time.Time
	// Input is the input of the model.
	Input inference.Window
	// CurrentSpan is the time that the samples cover: each covers the time since the
	// previous one, up to MaxSampleSpan.
	CurrentSpan time.Duration
	// CurrentDensity is the share of filled slots, 0–1, from the first filled slot to
	// the last: 0.5 for a meter that is read at half the window's rate, however long
	// it has run.
	CurrentDensity float64
	// CurrentCoverage and VideoCoverage are the shares of slots that hold a value, 0–1,
	// of those that can hold one: a late video has not reached the newest slots yet, nor
	// has a frame that is not due yet reached the newest.
	CurrentCoverage, VideoCoverage float64
	// VideoLag is the mean delay of the frames' stamps behind their slots: the
	// correction, rounded to whole slots for each frame. It is 0 without a frame.
	VideoLag time.Duration
	// FrameTimes are the instants of the frames in the window, in order.
	FrameTimes []time.Time
	// Evidence belongs to the newest frame in the window; it is nil without one.
	Evidence []float32

	period time.Duration
}

// maxSamples and maxFrames are the largest numbers kept for each slot: those of a meter that
// is read 100 times a second, and of a camera of ten pictures a second.
const (
	maxSamples = 50
	maxFrames  = 10
)

// Aligner collects samples and frames and builds windows from them. It is owned by one
// goroutine.
type Aligner struct {
	geometry Geometry
	samples  series[drivers.Sample]
	frames   series[EncodedFrame]
	grid     grid
	// correction is subtracted from the frames' stamps.
	correction time.Duration
}

// New returns an empty aligner.
func New(g Geometry) *Aligner {
	return &Aligner{geometry: g, grid: grid{period: g.SamplePeriod}}
}

// AddSample adds a sample. A sample that is not newer than the last is dropped: a
// source delivers in time order, so an older stamp is a clock fault.
func (a *Aligner) AddSample(s drivers.Sample) {
	if !a.samples.add(s.Time, s) {
		return
	}
	a.grid.observe(s.Time)
	oldest := s.Time.Add(-time.Duration(a.geometry.Samples) * a.geometry.SamplePeriod)
	a.samples.trim(oldest, maxSamples*a.geometry.Samples)
}

// AddFrame adds an encoded frame. A frame that is not newer than the last is dropped.
func (a *Aligner) AddFrame(f EncodedFrame) {
	if !a.frames.add(f.Time, f) {
		return
	}
	// Early frames wait for the current, so they are kept longer by the largest
	// correction.
	oldest := f.Time.Add(-time.Duration(a.geometry.Frames)*a.geometry.FramePeriod - a.geometry.MostCorrection)
	a.frames.trim(oldest, maxFrames*a.geometry.Frames)
}

// Forget drops every sample before t: current from before an idle period does not
// belong to the new melt.
func (a *Aligner) Forget(t time.Time) { a.samples.trim(t, len(a.samples.values)) }

// ForgetFrames drops every frame, because one model cannot read another model's tokens.
func (a *Aligner) ForgetFrames() { a.frames = series[EncodedFrame]{} }

// Correct sets the duration that is subtracted from the video's stamps: positive for a
// late video, negative for an early one, and limited to ±MostCorrection.
//
// Tokens are kept by their original stamps and placed in slots anew for every window. A
// slowly growing correction therefore changes nothing until a frame's corrected stamp
// passes the middle between two slots; then the frame moves by one whole slot, and its
// tokens do not change. Frames of one camera share a phase, so all of them move within
// the same few seconds. If two frames fall into one slot, the nearer one is used. A
// slot without a frame is masked: for a late video these are the newest slots, one for
// each second of correction.
func (a *Aligner) Correct(by time.Duration) {
	most := a.geometry.MostCorrection
	a.correction = min(max(by, -most), most)
}

// Settle is how long a sample or a frame may take to arrive after its instant. A window
// whose newest values have all arrived need not wait for so long: see SamplePending.
const Settle = 150 * time.Millisecond

// Window builds the window that ends at the last point of the grid that is at least
// Settle before now.
func (a *Aligner) Window(now time.Time) Window {
	g := a.geometry
	w := Window{
		End:    a.End(now),
		period: g.SamplePeriod,
		Input: inference.Window{
			Tokens:     make([]float32, g.Frames*g.FrameTokens),
			FrameMask:  make([]float32, g.Frames),
			Current:    make([]float32, g.Samples*drivers.Phases),
			SampleMask: make([]float32, g.Samples),
		},
	}
	a.placeSamples(&w)
	w.VideoCoverage = a.placeFrames(&w)
	return w
}

// MaskCurrent hides every sample from the model, because the readings are not trusted.
func (w *Window) MaskCurrent() {
	clear(w.Input.SampleMask)
	clear(w.Input.Current)
	w.measure()
}

func (a *Aligner) placeSamples(w *Window) {
	g := a.geometry
	start := w.End.Add(-time.Duration(g.Samples-1) * g.SamplePeriod)
	for slot, index := range a.samples.nearest(start, g.SamplePeriod, g.Samples) {
		if index < 0 {
			continue
		}
		s := &a.samples.values[index]
		w.Input.SampleMask[slot] = 1
		current := w.Input.Current[slot*drivers.Phases:][:drivers.Phases]
		for phase, amperes := range s.Current {
			current[phase] = float32(amperes)
		}
		w.Input.SetPoint = float32(s.SetPoint)
	}
	w.measure()
}

// measure computes how much of the window the samples cover.
func (w *Window) measure() {
	first, last, filled := 0, -1, 0
	for slot, mask := range w.Input.SampleMask {
		if mask == 0 {
			continue
		}
		if filled == 0 {
			first = slot
		}
		last = slot
		filled++
	}
	w.CurrentCoverage = float64(filled) / float64(len(w.Input.SampleMask))
	w.CurrentDensity = 0
	if filled > 0 {
		w.CurrentDensity = float64(filled) / float64(last-first+1)
	}
	w.CurrentSpan, _ = w.covered(0)
}

// AfterGap hides the samples before the last gap of at least the given length, as if
// the meter had been read only since then.
func (w *Window) AfterGap(least time.Duration) {
	mask := w.Input.SampleMask
	slots := int(least / w.period)
	later := len(mask) // the next filled slot
	for slot := len(mask) - 1; slot >= 0; slot-- {
		if mask[slot] == 0 {
			continue
		}
		if later < len(mask) && later-slot > slots {
			clear(mask[:slot+1])
			clear(w.Input.Current[:(slot+1)*drivers.Phases])
			break
		}
		later = slot
	}
	w.measure()
}

func (a *Aligner) placeFrames(w *Window) (coverage float64) {
	g := a.geometry
	start := w.End.Add(-time.Duration(g.Frames-1) * g.FramePeriod)
	seen, filled := 0, -1
	var behind time.Duration
	for slot, index := range a.frames.nearest(start.Add(a.correction), g.FramePeriod, g.Frames) {
		if index < 0 {
			continue
		}
		f := &a.frames.values[index]
		seen, filled = seen+1, slot
		behind += f.Time.Sub(start.Add(time.Duration(slot) * g.FramePeriod))
		w.Input.FrameMask[slot] = 1
		copy(w.Input.Tokens[slot*g.FrameTokens:(slot+1)*g.FrameTokens], f.Tokens)
		w.Evidence = f.Evidence
		w.FrameTimes = append(w.FrameTimes, f.Time)
	}
	if seen == 0 {
		return 0
	}
	w.VideoLag = behind / time.Duration(seen)
	reachable := a.reachable()
	if newest := w.FrameTimes[seen-1]; filled == reachable-2 && w.End.Sub(newest) < g.FramePeriod+Settle {
		reachable-- // the next frame is not due yet
	}
	return min(float64(seen)/float64(reachable), 1)
}

// reachable is the number of slots that can hold a frame: a late video leaves the
// newest slots empty.
func (a *Aligner) reachable() int {
	late := math.Round(float64(a.correction) / float64(a.geometry.FramePeriod))
	return a.geometry.Frames - min(max(int(late), 0), a.geometry.Frames-1)
}

// Package align puts samples of current and frames of video on one time grid:
// the window from which the model decides.
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
// A sense whose own pipeline delays it can be corrected: Correct takes a time off
// the video's stamps before they are put into slots (Offset finds that time).
//
// Stamps are the host's and are compared by Go's monotonic reading: a jump of
// the wall clock moves nothing. Samples and frames are kept for the length of a
// window (and as far back as a correction may reach) and no longer; the number
// kept is bounded.
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

// EncodedFrame is a frame as the model's encoder left it.
type EncodedFrame struct {
	Time time.Time
	// Tokens is FrameTokens long; the aligner keeps the slice.
	Tokens []float32
	// Evidence is where on this frame the model looked; may be nil.
	Evidence []float32
}

// Window is one moment's view of both senses.
type Window struct {
	// End is t_end.
	End time.Time
	// Input is what the model takes.
	Input inference.Window
	// CurrentSpan is the time that the samples cover: each covers the time since the
	// previous one, up to SpokenFor.
	CurrentSpan time.Duration
	// CurrentDensity is the share of filled slots, 0–1, from the first filled slot to
	// the last: 0.5 for a meter that is read at half the window's rate, however long
	// it has run.
	CurrentDensity float64
	// CurrentCoverage and VideoCoverage are the shares of slots that hold a
	// value, 0–1, of those that one can have reached: a late video has not yet
	// come to the newest.
	CurrentCoverage, VideoCoverage float64
	// VideoLag is by how much the frames' own stamps lie behind the slots they
	// stand in, on average: the correction, to the nearest whole slot as each frame
	// took it. 0 without a frame.
	VideoLag time.Duration
	// Evidence is that of the newest frame in the window; nil when there is none.
	Evidence []float32

	period time.Duration
}

// maxRate bounds how many samples and frames are kept: this many for each slot.
const maxRate = 10

// Aligner collects both senses. It is owned by one goroutine.
type Aligner struct {
	geometry Geometry
	samples  series[drivers.Sample]
	frames   series[EncodedFrame]
	grid     grid
	// correction is taken off the frames' stamps.
	correction time.Duration
}

// New returns an empty aligner.
func New(g Geometry) *Aligner {
	return &Aligner{geometry: g, grid: grid{period: g.SamplePeriod}}
}

// AddSample adds a sample; one that is older than the last is dropped, since a
// source delivers in time order and an older stamp is a fault of its clock.
func (a *Aligner) AddSample(s drivers.Sample) {
	if !a.samples.add(s.Time, s) {
		return
	}
	a.grid.observe(s.Time)
	oldest := s.Time.Add(-time.Duration(a.geometry.Samples) * a.geometry.SamplePeriod)
	a.samples.trim(oldest, maxRate*a.geometry.Samples)
}

// AddFrame adds an encoded frame; one that is not newer than the last is
// dropped.
func (a *Aligner) AddFrame(f EncodedFrame) {
	if !a.frames.add(f.Time, f) {
		return
	}
	// A video that is early waits for its current, so that much more is kept.
	oldest := f.Time.Add(-time.Duration(a.geometry.Frames)*a.geometry.FramePeriod - a.geometry.MostCorrection)
	a.frames.trim(oldest, maxRate*a.geometry.Frames)
}

// Forget drops every sample before t: after the furnace stood still, what it
// drew before says nothing about how it melts now.
func (a *Aligner) Forget(t time.Time) { a.samples.trim(t, len(a.samples.values)) }

// ForgetFrames drops every frame: another model's tokens mean nothing to this
// one.
func (a *Aligner) ForgetFrames() { a.frames = series[EncodedFrame]{} }

// Correct sets what is taken off the video's stamps from now on: the video is
// late by so much, or early where it is negative. Beyond MostCorrection it stops.
//
// Tokens are kept by their own stamps and put into slots anew for every window.
// A correction that creeps therefore changes nothing until a frame's corrected
// stamp passes the middle between two slots; then that frame moves on by one slot
// whole, with its tokens as they are. Frames of one camera share a phase, so they
// pass within the same few seconds. Where two come to stand in one slot the nearer
// stays, and a slot that none reaches is masked: for a late video those at the
// window's end, one a second of correction.
func (a *Aligner) Correct(by time.Duration) {
	most := a.geometry.MostCorrection
	a.correction = min(max(by, -most), most)
}

// Settle is how long after its instant a sample may still be on the wire. A
// window that ended later would always miss its newest slot.
const Settle = 150 * time.Millisecond

// Window builds the window that ends at the last point of the grid before now.
func (a *Aligner) Window(now time.Time) Window {
	g := a.geometry
	w := Window{
		End:    a.grid.before(now.Add(-Settle)),
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

// MaskCurrent hides every sample: what stands there cannot be believed.
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

// measure says how much of the window its samples cover.
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
	w.CurrentSpan, _ = w.spoken(0)
}

// AfterGap hides the samples before the last gap of at least so long, as if the
// meter had been read from then on only.
func (w *Window) AfterGap(least time.Duration) {
	mask := w.Input.SampleMask
	slots := int(least / w.period)
	later := len(mask) // the filled slot after the one looked at
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
	seen := 0
	var behind time.Duration
	for slot, index := range a.frames.nearest(start.Add(a.correction), g.FramePeriod, g.Frames) {
		if index < 0 {
			continue
		}
		f := &a.frames.values[index]
		seen++
		behind += f.Time.Sub(start.Add(time.Duration(slot) * g.FramePeriod))
		w.Input.FrameMask[slot] = 1
		copy(w.Input.Tokens[slot*g.FrameTokens:(slot+1)*g.FrameTokens], f.Tokens)
		w.Evidence = f.Evidence
	}
	if seen == 0 {
		return 0
	}
	w.VideoLag = behind / time.Duration(seen)
	return min(float64(seen)/float64(a.reachable()), 1)
}

// reachable is how many slots a frame can have reached: a video that is late
// leaves the newest empty.
func (a *Aligner) reachable() int {
	late := math.Round(float64(a.correction) / float64(a.geometry.FramePeriod))
	return a.geometry.Frames - min(max(int(late), 0), a.geometry.Frames-1)
}

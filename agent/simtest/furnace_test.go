package simtest

import (
	"context"
	"errors"
	"math"
	"time"

	"meltwatch/drivers"
	"meltwatch/inference"
)

// furnace simulates the furnace, its senses and the model.
type furnace struct {
	*loop
	amperes, noise float64
	glow           byte // of the shell

	meterDead, meterStuck time.Time // the fault's start; zero without it
	last                  drivers.Sample
	video                 drivers.Status
	frames                uint64
	model                 error // the model's error; nil while it works
}

const setPoint = 15_000 // amperes

// The two conditions of a melt, by the noise of its current in amperes.
const (
	lively = 1500
	quiet  = 150
)

// planDay plans the furnace's day: melts, abnormal ones among them, and pauses.
func (f *furnace) planDay() {
	f.video = drivers.OK
	f.melt()
}

func (f *furnace) melt() {
	f.amperes, f.noise, f.glow = setPoint, lively, 10
	f.tell("melt")
	f.after(f.between(20*time.Minute, 2*time.Hour), func() {
		if f.chance(0.3) {
			f.pause()
			return
		}
		f.tell("abnormal melt")
		f.noise, f.glow = quiet, 200
		f.after(f.between(time.Minute, 8*time.Minute), func() {
			if f.chance(0.5) {
				f.melt()
				return
			}
			f.pause()
		})
	})
}

func (f *furnace) pause() {
	f.tell("furnace off")
	f.amperes, f.glow = 0, 10
	f.after(f.between(2*time.Minute, 20*time.Minute), f.melt)
}

// sample returns the meter's reading.
func (f *furnace) sample() (s drivers.Sample, ok bool) {
	if !f.meterDead.IsZero() {
		return s, false
	}
	s = drivers.Sample{Time: time.Now(), SetPoint: setPoint, Uncertainty: time.Millisecond}
	if !f.meterStuck.IsZero() {
		s.Current = f.last.Current
		return s, true
	}
	for phase := range s.Current {
		if f.amperes > 0 {
			s.Current[phase] = math.Round(f.amperes + f.noise*f.random.NormFloat64())
		}
	}
	f.last = s
	return s, true
}

// frame returns the newest frame.
func (f *furnace) frame() (drivers.Frame, drivers.Status) {
	f.frames++
	return drivers.Frame{Time: time.Now().Add(-40 * time.Millisecond), Number: f.frames, Pixels: []byte{f.glow}}, f.video
}

// blind reports whether all senses have failed for so long that an agent started at a
// time must know it.
func (f *furnace) blind(started time.Time) bool {
	dead := !f.meterDead.IsZero() && time.Since(f.meterDead) > 4*time.Second
	// A stuck meter is visible only while there is current; an idle furnace reads the
	// same. An agent that has just started cannot know yet that the readings are stuck.
	stuck := !f.meterStuck.IsZero() && min(time.Since(f.meterStuck), time.Since(started)) > 20*time.Second && f.last.Current[0] > 0
	return !f.video.Live() && (dead || stuck)
}

var errModel = errors.New("model does not answer")

func manifest() *inference.Manifest {
	return &inference.Manifest{
		Current:  inference.CurrentSpec{RateHz: 2, Samples: 240, Phases: drivers.Phases},
		Video:    inference.VideoSpec{Width: 64, Height: 64, Resize: "area", RateHz: 1, Frames: 16, Tokens: 1, Dim: 1},
		Decision: inference.Decision{MeanSeconds: 10, Enter: 0.6, Exit: 0.4, HoldSeconds: 10, FreezeBackground: 0.5},
		Rule:     inference.Rule{CV120: 0.04, CV45: 0.03},
	}
}

// EncodeFrame returns one token: the glow.
func (f *furnace) EncodeFrame(_ context.Context, frame inference.Frame) (inference.Encoded, error) {
	if f.model != nil {
		return inference.Encoded{}, f.model
	}
	return inference.Encoded{Tokens: []float32{float32(frame.Pixels[0]) / 255}, Background: []float32{0}}, nil
}

// Model reports the simulated model as loaded.
func (f *furnace) Model() (inference.LoadReply, bool) { return inference.LoadReply{}, true }

// Step returns abnormal when the shell glows or the last minute's current is quiet.
func (f *furnace) Step(_ context.Context, w inference.Window) (inference.Outputs, error) {
	if f.model != nil {
		return nil, f.model
	}
	var glow, frames, sum, squares, n float64
	for k := 11; k < 16; k++ {
		glow, frames = glow+float64(w.Tokens[k]*w.FrameMask[k]), frames+float64(w.FrameMask[k])
	}
	for i := 120; i < 240; i++ {
		a := float64(w.Current[i*drivers.Phases])
		weight := float64(w.SampleMask[i])
		sum, squares, n = sum+weight*a, squares+weight*a*a, n+weight
	}
	p := float32(0.1)
	mean := sum / max(n, 1)
	if frames > 0 && glow/frames > 0.5 || n > 60 && mean > 0 && squares/n-mean*mean < (0.04*mean)*(0.04*mean) {
		p = 0.9
	}
	return inference.Outputs{inference.PAbnormal: {p}}, nil
}

// modelChild replaces the model child.
type modelChild struct{ *furnace }

func (modelChild) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (modelChild) PID() int                      { return 0 }

// cameraChild replaces the camera child.
type cameraChild struct{ furnace *furnace }

func (c cameraChild) Newest() (drivers.Frame, drivers.Status) { return c.furnace.frame() }
func (c cameraChild) Cause() string                           { return string(c.furnace.video) }
func (cameraChild) Run(ctx context.Context) error             { <-ctx.Done(); return nil }

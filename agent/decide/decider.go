// Package decide makes one verdict a second: it aligns the senses, asks the
// model, falls back to the rule when the model does not answer in time, and
// steps the furnace's state.
//
// One goroutine owns it all. Calls to the model are bounded by a deadline that
// both share, so a second is always decided before the next one begins.
package decide

import (
	"context"
	"errors"
	"math"
	"time"

	"meltwatch/agent/align"
	"meltwatch/agent/state"
	"meltwatch/drivers"
	"meltwatch/inference"
)

// Model is what decides; the inference child's client in the agent.
type Model interface {
	EncodeFrame(context.Context, inference.Frame) (inference.Encoded, error)
	Step(context.Context, inference.Window) (inference.Outputs, error)
	// Model says which model is loaded, if any.
	Model() (inference.LoadReply, bool)
}

// Decision is everything known about one second.
type Decision struct {
	// End is the window's end; Current and Video say which sense can be believed.
	End            time.Time
	Current, Video drivers.Status
	// CurrentCause explains a fault of the current if its status alone does not.
	CurrentCause string
	// Coverage of the window by each sense, 0–1.
	CurrentCoverage, VideoCoverage float64
	Verdict                        state.Verdict
	// Weak marks a rule verdict that rests on 45 s alone.
	Weak   bool
	Status state.Status
	// Counted says on which senses the verdict rests.
	Counted Counted
	// Alignment is NaN where the model gives none or lacks a sense.
	Alignment float64
	// Surprise is the error of the model's guess at the next current, NaN where it
	// gives none or lacks the current.
	Surprise float64
	// Offset is how late the video is, nil while unknown; Correction is how much of
	// it the window already takes back.
	Offset     *align.Estimate
	Correction time.Duration
	// Evidence is the attention over the newest frame, row-major, or nil.
	Evidence []float32
	// Fault is why the model did not decide; nil when it did.
	Fault error
}

// Counted says on which senses a verdict rests: those of which its window held
// anything. A sense that died a moment ago still counts through what it left there.
type Counted struct{ Current, Video bool }

// Decider holds what one furnace's decisions need between seconds.
type Decider struct {
	manifest *inference.Manifest
	params   state.Params
	rule     inference.Rule
	model    Model
	timeout  time.Duration

	aligner *align.Aligner
	machine *state.Machine
	current *currentMonitor
	sparse  sparseness

	background []float32
	freeze     bool // the background stands still
	lastFrame  time.Time

	offset *align.Offset // nil for a model that cannot tell
	sha256 string        // of the model that answers, empty before the first
	stream uint64        // the opening of the camera that the newest frame is of
}

// Settings are what a Judge is built from.
type Settings struct {
	Manifest *inference.Manifest
	Params   state.Params
	Rule     inference.Rule
	// Timeout bounds both calls of a second together.
	Timeout time.Duration
	// Period is the meter's.
	Period time.Duration
}

// NewDecider returns a judge that has seen nothing yet.
func NewDecider(s Settings, m Model) *Decider {
	return &Decider{
		manifest: s.Manifest, params: s.Params, rule: s.Rule, model: m, timeout: s.Timeout,
		aligner: align.New(align.GeometryOf(s.Manifest)),
		machine: state.New(s.Params),
		current: newCurrentMonitor(s.Period),
		offset:  align.NewOffset(s.Manifest),
	}
}

// Machine is the furnace's state machine, to save and resume it.
func (j *Decider) Machine() *state.Machine { return j.machine }

// Sample takes one reading of the current.
func (j *Decider) Sample(s drivers.Sample) {
	j.current.sample(s)
	if s.Missing == "" {
		j.aligner.AddSample(s)
	}
}

// Decide decides the second that ends about now. frame is the newest one, its
// Number 0 when there is none.
func (j *Decider) Decide(ctx context.Context, now time.Time, frame drivers.Frame, video drivers.Status) Decision {
	ctx, cancel := context.WithTimeout(ctx, j.timeout)
	defer cancel()
	j.follow(frame)
	encodeErr := j.encode(ctx, frame, video)
	w := j.aligner.Window(now)
	current, cause := j.current.status(now)
	s := Decision{
		End: w.End, Current: current, CurrentCause: cause, Video: video,
		VideoCoverage: w.VideoCoverage,
		Alignment:     math.NaN(), Surprise: math.NaN(),
	}
	if s.Current == drivers.Frozen {
		w.MaskCurrent()
	}
	believed := j.current.believed(now)
	amperes := math.NaN() // only a live sense can show an idle furnace
	if s.Current.Live() {
		amperes = w.LargestPhase(j.current.span())
	}
	aside, sparse := j.sparse.check(&w, j.manifest, j.current.period, believed, j.rule)
	s.CurrentCoverage = w.CurrentCoverage
	s.Verdict = j.sensed(s, w)
	s.Verdict.CurrentLive, s.Verdict.Amperes, s.Verdict.CurrentAside = believed, amperes, aside
	if s.Fault = encodeErr; s.Fault == nil {
		s.Fault = j.ask(ctx, w, sparse, &s)
	}
	if s.Fault != nil {
		j.fallBack(w, &s)
	}
	if !s.Verdict.Enough() {
		s.Verdict.Source, s.Verdict.P = state.None, 0 // an answer, but no verdict yet
		s.Counted = Counted{}
	}
	j.attend(&s)
	s.Status = j.machine.Step(s.Verdict)
	j.current.idle = j.machine.Idle()
	if s.Status.Restarted {
		j.aligner.Forget(s.End.Add(-2 * time.Second))
		j.sparse = sparseness{}
	}
	j.freeze = s.Verdict.Source == state.Model && s.Verdict.P >= j.manifest.Decision.FreezeBackground ||
		s.Status.State == state.Abnormal
	return s
}

// encode encodes a frame that has not been encoded yet. The background moves on
// only while the furnace looks normal: a growing spot must not be absorbed.
func (j *Decider) encode(ctx context.Context, frame drivers.Frame, video drivers.Status) error {
	if frame.Number == 0 || !video.Live() || !frame.Time.After(j.lastFrame) {
		return nil
	}
	encoded, err := j.model.EncodeFrame(ctx, inference.Frame{Pixels: frame.Pixels, Background: j.background})
	if err != nil {
		return err
	}
	if want := j.manifest.Video.Tokens * j.manifest.Video.Dim; len(encoded.Tokens) != want {
		return errors.New("model encoded a frame to another length than its manifest says")
	}
	j.lastFrame = frame.Time
	if !j.freeze || j.background == nil {
		j.background = encoded.Background
	}
	j.aligner.AddFrame(align.EncodedFrame{Time: frame.Time, Tokens: encoded.Tokens, Evidence: encoded.Evidence})
	return nil
}

// sensed is the verdict as far as the senses go: nobody has decided yet.
func (j *Decider) sensed(s Decision, w align.Window) state.Verdict {
	return state.Verdict{
		Time: s.End, Source: state.None, SetPoint: float64(w.Input.SetPoint),
		// A current that is stale ends no alarm by itself.
		CurrentInvalid: s.Current == drivers.Invalid || s.Current == drivers.Frozen || !s.Current.Live() && !s.Video.Live(),
		VideoLive:      s.Video.Live(),
		CurrentSeconds: w.CurrentSpan.Seconds(),
		VideoFull:      w.VideoCoverage > 0.9,
	}
}

var errNothingSeen = errors.New("neither sense has anything in the window")

func (j *Decider) ask(ctx context.Context, w align.Window, sparse error, s *Decision) error {
	if w.CurrentCoverage == 0 && w.VideoCoverage == 0 {
		return errNothingSeen
	}
	if sparse != nil {
		return sparse
	}
	outputs, err := j.model.Step(ctx, w.Input)
	if err != nil {
		return err
	}
	if err := j.learn(w, s, outputs); err != nil {
		return err
	}
	p := float64(outputs[inference.PAbnormal][0])
	s.Verdict.Source, s.Verdict.P = state.Model, min(max(p, 0), 1)
	s.Counted = Counted{Current: w.CurrentCoverage > 0, Video: w.VideoCoverage > 0}
	if alignment := outputs[inference.Alignment]; len(alignment) == 1 && s.Counted.Current && s.Counted.Video {
		s.Alignment = float64(alignment[0])
	}
	if surprise := outputs[inference.Surprise]; len(surprise) == 1 && s.Counted.Current {
		s.Surprise = float64(surprise[0])
	}
	s.Evidence = w.Evidence
	return nil
}

func (j *Decider) fallBack(w align.Window, s *Decision) {
	p, weak, ok := rule(w, j.rule)
	if ok && s.Verdict.CurrentLive {
		s.Verdict.Source, s.Verdict.P, s.Weak = state.Rule, p, weak
		s.Counted = Counted{Current: true}
	}
}

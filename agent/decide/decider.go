// Package decide makes one verdict a second: it aligns the senses, calls the model,
// falls back to the rule when the model does not answer in time, and updates the
// furnace's state.
//
// One goroutine owns all of it. The calls to the model for a second that is due share one
// deadline, and a picture is encoded ahead only until the second is due, so each second is
// decided before the next one begins.
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

// Model makes the verdicts. In the agent it is the client of the inference child.
type Model interface {
	EncodeFrame(context.Context, inference.Frame) (inference.Encoded, error)
	Step(context.Context, inference.Window) (inference.Outputs, error)
	// Model returns the loaded model, and false if none is loaded.
	Model() (inference.LoadReply, bool)
}

// Decision is the result of one second.
type Decision struct {
	// End is the window's end. Current and Video are the status of the senses.
	End            time.Time
	Current, Video drivers.Status
	// CurrentCause explains a fault of the current if its status alone does not.
	CurrentCause string
	// CurrentCoverage and VideoCoverage are the shares of the window that each sense
	// covers, 0–1.
	CurrentCoverage, VideoCoverage float64
	Verdict                        state.Verdict
	// Weak marks a verdict of the rule from 45 s alone.
	Weak   bool
	Status state.Status
	// Counted names the senses that the verdict uses.
	Counted Counted
	// Alignment is NaN if the model has no such output or lacks a sense.
	Alignment float64
	// PCurrent and PVideo are the probabilities that each sense gives without the other.
	// They are NaN if the model has no such outputs or lacks the sense.
	PCurrent, PVideo float64
	// Surprise is the error of the model's prediction of the next current. It is NaN if
	// the model has no such output or lacks the current.
	Surprise float64
	// FamiliarityCurrent and FamiliarityVideo are how much each sense is like what the model
	// learnt; nil if the model has no such output.
	FamiliarityCurrent, FamiliarityVideo *Familiarity
	// Offset is how late the video is, nil while unknown. Correction is the part of it
	// that the window corrects already.
	Offset     *align.Estimate
	Correction time.Duration
	// OffsetConfidence is the probability that the pooled windows show the true offset, also
	// while Offset is unknown. It is 0 with too few windows, with a curve that has no
	// minimum, and with a model that gives none.
	OffsetConfidence float64
	// Evidence is the attention over the newest frame, row-major, or nil.
	Evidence []float32
	// Frame is the newest frame, FrameTimes are the instants of those in the window.
	Frame      drivers.Frame
	FrameTimes []time.Time
	// CV120 and CV45 are the current's coefficients of variation over 120 and 45 s; NaN
	// while too little was measured.
	CV120, CV45 float64
	// Fault is why the model did not decide; nil if it did.
	Fault error
}

// Counted names the senses that a verdict uses: those with a value in its window. A
// sense that has just failed still counts through its last values.
type Counted struct{ Current, Video bool }

// Decider decides for one furnace. It holds what the decisions need between seconds.
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

	background      []float32
	resumed         *Background      // of the last run, until the model is known
	camera          string           // in the configuration
	shows           string           // the camera whose picture the background is
	baseline        []float32        // of the current; nil while unknown
	resumedBaseline *CurrentBaseline // of the last run, as resumed
	freeze          freeze
	lastFrame       time.Time
	familiar        familiarity

	offset *align.Offset // nil for a model without the output
	delay  time.Duration // as it was set
	sha256 string        // of the loaded model, empty before the first
	stream uint64        // number of the camera stream of the newest frame
}

// Settings configure a Decider.
type Settings struct {
	Manifest *inference.Manifest
	Params   state.Params
	Rule     inference.Rule
	// Timeout bounds both calls of a second together.
	Timeout time.Duration
	// Period is the poll period of the meter.
	Period time.Duration
	// Delay is how late the video is, as far as a person knows: the correction begins there.
	Delay time.Duration
	// Camera identifies the camera and the part of its picture.
	Camera string
}

// maxDelay is how far the video may be corrected at least, also for a model that does not
// estimate its delay.
const maxDelay = 5 * time.Second

// NewDecider returns a decider with an empty window.
func NewDecider(s Settings, m Model) *Decider {
	geometry := align.GeometryOf(s.Manifest)
	geometry.MostCorrection = max(geometry.MostCorrection, maxDelay)
	d := &Decider{
		manifest: s.Manifest, params: s.Params, rule: s.Rule, model: m, timeout: s.Timeout,
		aligner: align.New(geometry),
		machine: state.New(s.Params),
		current: newCurrentMonitor(s.Period),
		camera:  s.Camera,
		offset:  align.NewOffset(s.Manifest),
	}
	d.startAt(s.Delay)
	return d
}

// Machine returns the furnace's state machine, to save and resume it.
func (d *Decider) Machine() *state.Machine { return d.machine }

// Sample adds one reading of the current.
func (d *Decider) Sample(s drivers.Sample) {
	d.current.sample(s)
	if s.Missing == "" {
		d.aligner.AddSample(s)
	}
}

// Decide decides the second that is due now: late values are waited for no longer. frame is
// the newest frame; its Number is 0 if there is none.
func (d *Decider) Decide(ctx context.Context, now time.Time, frame drivers.Frame, video drivers.Status) Decision {
	return d.DecideDue(ctx, now, now, frame, video)
}

// DecideDue decides at now the second that is due at an instant: see Due. Before that
// instant, everything that belongs to its window must have arrived. earlier are bursts before
// the newest frame's; one of which a frame was encoded is left out.
func (d *Decider) DecideDue(ctx context.Context, now, due time.Time, frame drivers.Frame, video drivers.Status, earlier ...Burst) Decision {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	encodeErr := d.encodeAll(ctx, frame, video, earlier)
	w := d.aligner.Window(due)
	current, cause := d.current.status(now)
	s := Decision{
		End: w.End, Current: current, CurrentCause: cause, Video: video,
		VideoCoverage: w.VideoCoverage, Frame: frame, FrameTimes: w.FrameTimes,
		Alignment: math.NaN(), Surprise: math.NaN(), PCurrent: math.NaN(), PVideo: math.NaN(),
	}
	if s.Current == drivers.Frozen {
		w.MaskCurrent()
	}
	usable := d.current.usable(now)
	amperes := math.NaN() // only a live sense can show an idle furnace
	if s.Current.Live() {
		amperes = w.LargestPhase(d.current.span())
	}
	aside, sparse := d.sparse.check(&w, d.manifest, d.current.period, usable, d.rule)
	s.CurrentCoverage = w.CurrentCoverage
	s.CV120, s.CV45 = variation(w)
	s.Verdict = d.sensed(s, w)
	s.Verdict.CurrentLive, s.Verdict.Amperes, s.Verdict.CurrentAside = usable, amperes, aside
	var baseline []float32
	if s.Fault = encodeErr; s.Fault == nil {
		baseline, s.Fault = d.ask(ctx, w, sparse, &s)
	}
	if s.Fault != nil {
		d.fallBack(w, &s)
	}
	if !s.Verdict.Enough() {
		s.Verdict.Source, s.Verdict.P = state.None, 0 // too little was measured for a verdict
		s.Counted = Counted{}
		s.PCurrent, s.PVideo = math.NaN(), math.NaN()
		s.FamiliarityCurrent, s.FamiliarityVideo = nil, nil
	}
	d.addOffset(&s)
	s.Status = d.machine.Step(s.Verdict)
	d.current.idle = d.machine.Idle()
	if s.Status.Restarted {
		d.aligner.Forget(s.End.Add(-2 * time.Second))
		d.sparse = sparseness{}
	}
	d.freeze.step(s, d.manifest.Decision)
	d.followCurrent(baseline)
	d.familiar.step(&s, d.manifest.Familiarity)
	return s
}

// EncodeAhead encodes the frames of the second that is decided next, before its newest sample has
// arrived, so that this need not be done between that sample and the verdict. It ends when the
// second is due. A frame that could not be encoded by then is encoded with its second. The other
// parameters are those of DecideDue.
func (d *Decider) EncodeAhead(ctx context.Context, due time.Time, frame drivers.Frame, video drivers.Status, earlier ...Burst) {
	ctx, cancel := context.WithDeadline(ctx, due)
	defer cancel()
	_ = d.encodeAll(ctx, frame, video, earlier) // the second meets the error again
}

// encodeAll encodes the newest frame, and before it those of earlier bursts of which none was
// encoded.
func (d *Decider) encodeAll(ctx context.Context, frame drivers.Frame, video drivers.Status, earlier []Burst) error {
	d.follow(frame)
	var err error
	for _, b := range earlier {
		if b.Newest.Stream == frame.Stream && b.Began.After(d.lastFrame) {
			err = errors.Join(err, d.encode(ctx, b.Newest, video))
		}
	}
	return errors.Join(err, d.encode(ctx, frame, video))
}

// encode encodes a frame that has not been encoded yet. The background is updated only
// while the furnace looks normal: it must not absorb a growing spot.
func (d *Decider) encode(ctx context.Context, frame drivers.Frame, video drivers.Status) error {
	if frame.Number == 0 || !video.Live() || !frame.Time.After(d.lastFrame) {
		return nil
	}
	encoded, err := d.model.EncodeFrame(ctx, inference.Frame{Pixels: frame.Pixels, Background: d.background})
	if err != nil {
		return err
	}
	if want := d.manifest.Video.Tokens * d.manifest.Video.Dim; len(encoded.Tokens) != want {
		return errors.New("the model's encoded frame differs in length from its manifest")
	}
	d.lastFrame = frame.Time
	if !d.freeze.on || d.background == nil {
		d.background, d.shows = encoded.Background, d.camera
	}
	d.aligner.AddFrame(align.EncodedFrame{Time: frame.Time, Tokens: encoded.Tokens, Evidence: encoded.Evidence})
	return nil
}

// sensed returns the verdict's inputs from the senses, before the model or the rule
// decides.
func (d *Decider) sensed(s Decision, w align.Window) state.Verdict {
	return state.Verdict{
		Time: s.End, Source: state.None, SetPoint: float64(w.Input.SetPoint),
		// A stale current does not end an alarm by itself.
		CurrentInvalid: s.Current == drivers.Invalid || s.Current == drivers.Frozen || !s.Current.Live() && !s.Video.Live(),
		VideoLive:      s.Video.Live(),
		CurrentSeconds: w.CurrentSpan.Seconds(),
		VideoFull:      w.VideoCoverage > 0.9,
	}
}

var errNothingSeen = errors.New("the window holds no sample and no frame")

// ask lets the model decide, and returns the baseline of the current that follows from the window.
func (d *Decider) ask(ctx context.Context, w align.Window, sparse error, s *Decision) (baseline []float32, err error) {
	if w.CurrentCoverage == 0 && w.VideoCoverage == 0 {
		return nil, errNothingSeen
	}
	if sparse != nil {
		return nil, sparse
	}
	w.Input.CurrentBaseline = d.baseline
	outputs, err := d.model.Step(ctx, w.Input)
	if err != nil {
		return nil, err
	}
	if baseline, err = d.returnedBaseline(outputs); err != nil {
		return nil, err
	}
	if err := d.observeOffset(w, s, outputs); err != nil {
		return nil, err
	}
	p := float64(outputs[inference.PAbnormal][0])
	s.Verdict.Source, s.Verdict.P = state.Model, min(max(p, 0), 1)
	s.Counted = Counted{Current: w.CurrentCoverage > 0, Video: w.VideoCoverage > 0}
	if alignment := outputs[inference.Alignment]; len(alignment) == 1 && s.Counted.Current && s.Counted.Video {
		s.Alignment = float64(alignment[0])
	}
	s.PCurrent = alone(outputs[inference.PCurrent], s.Counted.Current)
	s.PVideo = alone(outputs[inference.PVideo], s.Counted.Video)
	if surprise := outputs[inference.Surprise]; len(surprise) == 1 && s.Counted.Current {
		s.Surprise = float64(surprise[0])
	}
	s.FamiliarityCurrent = familiarityOf(outputs[inference.FamiliarityCurrent], s.Counted.Current)
	s.FamiliarityVideo = familiarityOf(outputs[inference.FamiliarityVideo], s.Counted.Video)
	s.Evidence = w.Evidence
	return baseline, nil
}

// alone is a sense's own probability, or NaN if the model does not give it.
func alone(output []float32, counted bool) float64 {
	if !counted || len(output) != 1 || output[0] < 0 { // inference.Missing
		return math.NaN()
	}
	return min(float64(output[0]), 1)
}

func (d *Decider) fallBack(w align.Window, s *Decision) {
	p, weak, ok := rule(w, d.rule)
	if ok && s.Verdict.CurrentLive {
		s.Verdict.Source, s.Verdict.P, s.Weak = state.Rule, p, weak
		s.Counted = Counted{Current: true}
	}
}

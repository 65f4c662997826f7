// Package replay runs a recording through the very decision that runs live, with the
// recording's own time: a second takes as long as its verdict. Several models can decide
// side by side, each from the same readings and pictures.
package replay

import (
	"context"
	"errors"
	"slices"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/recorder"
	"meltwatch/drivers"
)

// Second is one second, decided again.
type Second struct {
	// Recorded is what was decided then, Again what is decided now, and Beside what further
	// deciders decide.
	Recorded recorder.Decided
	Again    decide.Decision
	Beside   []decide.Decision
	// Settled reports whether the replay has run for as long as a window and the
	// background need, so that both can be compared.
	Settled bool
}

// Result sums a replay up.
type Result struct {
	// Seconds were decided, Settled of them can be compared, and Equal have the state that
	// was recorded.
	Seconds, Settled, Equal int
	// Levels counts the compared seconds with a recorded level of alarm, which releases
	// before it lack; EqualLevels those with the same one again.
	Levels, EqualLevels int
	// Missing counts the seconds whose picture is not in the recording.
	Missing int
	Took    time.Duration
}

const (
	// Settling is the window's 120 s, the background's minute, and the filter's half.
	Settling = 210 * time.Second
	// chunk is how much of a recording is in memory at a time.
	chunk = 10 * time.Minute
	// MaxPause is the longest pause after which the window still holds.
	MaxPause = 30 * time.Second
)

// ErrEmpty says that there is nothing to decide.
var ErrEmpty = errors.New("the recording holds no decided second between from and to")

// Run decides each recorded second of [from, to] again and passes it to each. Further
// deciders decide beside the first one.
func Run(ctx context.Context, l *recorder.Library, d *decide.Decider, from, to time.Time, each func(Second), beside ...*decide.Decider) (Result, error) {
	began := time.Now()
	r := run{library: l, decider: d, beside: beside, each: each}
	segments, err := l.Segments()
	if err != nil {
		return r.result, err
	}
	for start := from; start.Before(to); {
		// Nothing is recorded while the agent is off, or in the years between a clock that
		// was wrong and one that is right.
		if start = recordedFrom(segments, start); start.IsZero() || !start.Before(to) {
			break
		}
		end := start.Add(chunk)
		if end.After(to) {
			end = to
		}
		if err := r.chunk(ctx, start, end); err != nil {
			return r.result, err
		}
		start = end
	}
	r.result.Took = time.Since(began)
	if r.result.Seconds == 0 {
		return r.result, ErrEmpty
	}
	return r.result, nil
}

// recordedFrom is the first instant from start on at which something is recorded; the zero
// time means none.
func recordedFrom(segments []recorder.Summary, start time.Time) (next time.Time) {
	for _, s := range segments {
		switch {
		case s.To.Before(start):
		case !s.From.After(start):
			return start
		case next.IsZero() || s.From.Before(next):
			next = s.From
		}
	}
	return next
}

type run struct {
	library *recorder.Library
	decider *decide.Decider
	beside  []*decide.Decider
	each    func(Second)
	result  Result

	samples []drivers.Sample // read, and not yet arrived
	frame   drivers.Frame
	began   time.Time // of the stretch without a pause
	last    time.Time
	end     time.Time // of the last window
}

func (r *run) chunk(ctx context.Context, from, to time.Time) error {
	seconds, err := r.library.States(from, to.Add(-time.Nanosecond))
	if err != nil {
		return err
	}
	samples, err := r.library.Samples(from, to.Add(-time.Nanosecond))
	if err != nil {
		return err
	}
	crops, err := r.library.Entries(from.Add(-time.Minute), to, recorder.Crop)
	if err != nil {
		return err
	}
	byTime := map[int64]recorder.Entry{}
	for _, e := range crops {
		byTime[e.Time.UnixMilli()] = e
	}
	// Readings of hours in which nothing was decided are not needed.
	old := slices.IndexFunc(r.samples, func(s drivers.Sample) bool { return from.Sub(s.Time) < chunk })
	if old < 0 {
		old = len(r.samples)
	}
	r.samples = append(r.samples[old:], samples...)
	for _, s := range seconds {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.Time.Equal(r.end) {
			continue // reported again because a sense had changed
		}
		r.end = s.Time
		if !r.takeFrame(s, byTime) {
			r.result.Missing++
		}
		r.second(ctx, s)
	}
	return nil
}

// takeFrame makes the newest frame that of a recorded second. It reports whether its
// picture is known: it may be damaged, removed meanwhile, or dropped by a full queue, and
// then the frame before stays.
func (r *run) takeFrame(s recorder.Decided, crops map[int64]recorder.Entry) bool {
	if s.FrameTime == nil || s.FrameTime.Equal(r.frame.Time) {
		return true
	}
	e, ok := crops[s.FrameTime.UnixMilli()]
	if !ok {
		return false
	}
	data, err := r.library.Read(e)
	if err != nil {
		return false
	}
	pixels, width, height, err := recorder.DecodeCrop(data)
	if err != nil {
		return false
	}
	r.frame = drivers.Frame{Time: *s.FrameTime, Number: s.Frame, Stream: s.Stream, Width: width, Height: height, Pixels: pixels}
	return true
}

func (r *run) second(ctx context.Context, s recorder.Decided) {
	if r.began.IsZero() || s.At.Sub(r.last) > MaxPause {
		r.began = s.At
	}
	r.last = s.At
	arrived := 0
	for arrived < len(r.samples) && !r.samples[arrived].Time.Add(r.samples[arrived].Uncertainty).After(s.At) {
		r.decider.Sample(r.samples[arrived])
		for _, d := range r.beside {
			d.Sample(r.samples[arrived])
		}
		arrived++
	}
	r.samples = r.samples[arrived:]
	video, due := drivers.Status(s.Senses.Video), decide.Due(s.Time, s.At)
	second := Second{Recorded: s, Again: r.decider.DecideDue(ctx, s.At, due, r.frame, video), Settled: s.At.Sub(r.began) >= Settling}
	for _, d := range r.beside {
		second.Beside = append(second.Beside, d.DecideDue(ctx, s.At, due, r.frame, video))
	}
	r.result.Seconds++
	if second.Settled {
		r.result.Settled++
		if string(second.Again.Status.State) == s.State.State {
			r.result.Equal++
		}
		if s.State.Level != "" {
			r.result.Levels++
			if string(second.Again.Status.Level) == s.State.Level {
				r.result.EqualLevels++
			}
		}
	}
	r.each(second)
}

// Package liveness decides whether a camera's pictures are live, and when they were
// taken. It has no input or output of its own: it takes presentation times, arrival
// times and small grey pictures.
//
// A faulty camera rarely reports the fault. It keeps delivering a picture: always the
// same (frozen), no new one (stale), or an empty one (black). So the sense is live
// only while its time advances and its content changes.
//
// Frozen is the difficult case, because neither equal nor different pictures settle
// it. An encoder that is fed the same picture does not produce equal pictures: each
// key frame quantises it again. And a live camera in front of a still scene shows
// only noise, which a strong encoder drops except at key frames. The cases:
//
//   - the camera has shown its sensor's noise in every frame, and for FrozenAfter
//     many frames show none against the previous one: frozen, whatever its key
//     frames do. This also detects a frozen picture from a low-bitrate encoder;
//   - something moved (the means of many cells): live, at once;
//   - nothing has moved for FrozenAfter, and for the last half of it pixels hardly
//     differ, key frames included: no sensor does that; frozen;
//   - pixels differ at key frames alone and nothing moves: either a still scene whose
//     noise the encoder drops, or a repeated picture that is encoded again. Pixels
//     cannot tell which. A working furnace always moves, so this counts as frozen
//     after ten times FrozenAfter.
//
// Pixels cannot reveal a picture that was repeated from the first frame on through a
// low-bitrate encoder (the last case), nor a recording played in a loop, because it
// moves.
//
// Every limit follows the camera's own rate: at one frame in two seconds, two seconds
// without a frame are not a stall, and a repetition needs at least four frames.
package liveness

import (
	"bytes"
	"fmt"
	"time"

	"meltwatch/drivers"
)

// Limits are how long each fault must last before the status says so.
type Limits struct {
	StaleAfter, FrozenAfter, BlackAfter time.Duration
}

const (
	// motionlessFactor × FrozenAfter is how long noise alone passes for life.
	motionlessFactor = 10
	// fewestFrames are needed to speak of repetition.
	fewestFrames = 4
)

// Judge follows one camera over openings of its stream. It is not safe for
// concurrent use.
type Judge struct {
	limits Limits
	clock  Clock

	rate     rate
	open     bool
	advanced time.Time // when the newest frame was taken; zero before the first
	last     time.Duration
	dark     time.Time // since when the picture has been black; zero while it is not

	same    anchor // since when all pictures have equalled one,
	picture Picture
	still   anchor // and since when nothing has moved from one
	sketch  []byte
	repeats repeats

	absent  string // why the camera cannot be reached, empty while it can
	trouble string // why its stream gives no frames, empty while it does
}

// anchor marks the frame that those after it are compared with.
type anchor struct {
	since  time.Time
	frames int // that came after it
}

func (a anchor) holds(now time.Time, limit time.Duration) bool {
	return a.frames >= fewestFrames && now.Sub(a.since) >= limit
}

// NewJudge starts with a camera that has not been tried yet.
func NewJudge(limits Limits) *Judge { return &Judge{limits: limits} }

// Opened notes that a stream was opened; its presentation times start anew.
func (j *Judge) Opened() {
	j.open, j.absent = false, ""
	j.clock.Restart()
	j.rate.last = time.Time{}
}

// Closed notes that the stream ended or failed, in words for the operator.
func (j *Judge) Closed(cause string) { j.open, j.absent, j.trouble = false, "", cause }

// Absent notes that the camera could not be reached.
func (j *Judge) Absent(cause string) { j.open, j.absent = false, cause }

// Frame notes a frame and returns when it was taken, or that it is no new one: a
// decoder hands the last frame out again when nothing has come, and its time
// tells, or its pixels where it has no time. The judge keeps the picture.
//
// Everything is reckoned from when a frame was taken, not from when it came. So
// the frames that a decoder still held when the stream stopped revive nothing,
// and a stream that falls behind more and more becomes stale.
func (j *Judge) Frame(presentation time.Duration, arrival time.Time, p Picture) (taken time.Time, isNew bool) {
	if j.open && j.again(presentation, p) {
		return time.Time{}, false
	}
	taken = j.clock.Taken(presentation, arrival)
	j.open, j.advanced, j.last, j.trouble = true, taken, presentation, ""
	j.rate.frame(taken)
	switch {
	case !p.black():
		j.dark = time.Time{}
	case j.dark.IsZero():
		j.dark = taken
	}
	// A quarter more, because half of the first half may be of the time before.
	j.repeats.frame(taken, p, j.limits.FrozenAfter*5/4)
	j.same.frames++
	if changed(j.picture, p) {
		j.same, j.picture = anchor{since: taken}, p
	}
	j.still.frames++
	if sketch := p.sketch(); shifted(j.sketch, sketch) {
		j.still, j.sketch = anchor{since: taken}, sketch
	}
	return taken, true
}

// again reports whether a frame repeats the last one. A time that fell back by a leap
// belongs to another frame: the camera restarted its count.
func (j *Judge) again(presentation time.Duration, p Picture) bool {
	if !known(presentation) || !known(j.last) {
		return presentation == j.last && bytes.Equal(p.Pixels, j.repeats.before.Pixels)
	}
	return presentation <= j.last && j.last-presentation < leap
}

// Patience is how long the camera may take for its next frame, at its own rate,
// before the limit counts as passed.
func (j *Judge) Patience(limit time.Duration) time.Duration { return j.rate.patience(limit) }

// Status is what to think of the camera at the instant now, and why.
func (j *Judge) Status(now time.Time) (drivers.Status, string) {
	switch {
	case j.absent != "":
		return drivers.Absent, j.absent
	case j.advanced.IsZero() && j.trouble != "":
		return drivers.Absent, j.trouble
	case j.advanced.IsZero():
		return drivers.Absent, "no frame yet"
	case now.Sub(j.advanced) >= j.rate.patience(j.limits.StaleAfter):
		return drivers.Stale, j.stale(now)
	case !j.dark.IsZero() && now.Sub(j.dark) >= j.limits.BlackAfter:
		return drivers.Black, fmt.Sprintf("the picture has been black for %v", round(now.Sub(j.dark)))
	case j.repeats.found:
		return drivers.Frozen, fmt.Sprintf("the same picture, without the camera's noise, for %v or longer", round(j.limits.FrozenAfter))
	case j.still.holds(now, j.limits.FrozenAfter) && j.same.holds(now, j.limits.FrozenAfter/2):
		return drivers.Frozen, fmt.Sprintf("the same picture for %v", round(now.Sub(j.still.since)))
	case j.still.holds(now, motionlessFactor*j.limits.FrozenAfter):
		return drivers.Frozen, fmt.Sprintf("nothing has moved in the picture for %v", round(now.Sub(j.still.since)))
	default:
		return drivers.OK, ""
	}
}

func (j *Judge) stale(now time.Time) string {
	cause := fmt.Sprintf("no new frame for %v", round(now.Sub(j.advanced)))
	if j.trouble != "" {
		cause += ": " + j.trouble
	}
	return cause
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }

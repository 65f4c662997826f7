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
	// minFrames are needed to speak of repetition.
	minFrames = 4
)

// Detector follows one camera over openings of its stream. It is not safe for
// concurrent use.
type Detector struct {
	limits Limits
	clock  Clock

	rate       rate
	open       bool
	newest     time.Time // when the newest frame was taken; zero before the first
	last       time.Duration
	blackSince time.Time // since when the picture has been black; zero while it is not

	identical  anchor // since when all pictures have equalled one,
	picture    Picture
	motionless anchor // and since when nothing has moved from one
	cellMeans  []byte
	repetition repetition

	unreachable string // why the camera cannot be reached, empty while it can
	fault       string // why its stream gives no frames, empty while it does
}

// anchor marks the frame that those after it are compared with.
type anchor struct {
	since  time.Time
	frames int // that came after it
}

func (a anchor) holds(now time.Time, limit time.Duration) bool {
	return a.frames >= minFrames && now.Sub(a.since) >= limit
}

// NewDetector starts with a camera that has not been tried yet.
func NewDetector(limits Limits) *Detector { return &Detector{limits: limits} }

// Opened notes that a stream was opened; its presentation times start anew.
func (j *Detector) Opened() {
	j.open, j.unreachable = false, ""
	j.clock.Restart()
	j.rate.last = time.Time{}
}

// Closed notes that the stream ended or failed, in words for the operator.
func (j *Detector) Closed(cause string) { j.open, j.unreachable, j.fault = false, "", cause }

// Absent notes that the camera could not be reached.
func (j *Detector) Absent(cause string) { j.open, j.unreachable = false, cause }

// Frame notes a frame and returns when it was taken, or that it is no new one: a
// decoder hands the last frame out again when nothing has come, and its time
// tells, or its pixels where it has no time. The judge keeps the picture.
//
// Everything is reckoned from when a frame was taken, not from when it came. So
// the frames that a decoder still held when the stream stopped revive nothing,
// and a stream that falls behind more and more becomes stale.
func (j *Detector) Frame(presentation time.Duration, arrival time.Time, p Picture) (taken time.Time, isNew bool) {
	if j.open && j.isRepeat(presentation, p) {
		return time.Time{}, false
	}
	taken = j.clock.CaptureTime(presentation, arrival)
	j.open, j.newest, j.last, j.fault = true, taken, presentation, ""
	j.rate.frame(taken)
	switch {
	case !p.black():
		j.blackSince = time.Time{}
	case j.blackSince.IsZero():
		j.blackSince = taken
	}
	// A quarter more, because half of the first half may be of the time before.
	j.repetition.frame(taken, p, j.limits.FrozenAfter*5/4)
	j.identical.frames++
	if changed(j.picture, p) {
		j.identical, j.picture = anchor{since: taken}, p
	}
	j.motionless.frames++
	if sketch := p.cellMeans(); shifted(j.cellMeans, sketch) {
		j.motionless, j.cellMeans = anchor{since: taken}, sketch
	}
	return taken, true
}

// isRepeat reports whether a frame repeats the last one. A time that fell back by a leap
// belongs to another frame: the camera restarted its count.
func (j *Detector) isRepeat(presentation time.Duration, p Picture) bool {
	if !hasTime(presentation) || !hasTime(j.last) {
		return presentation == j.last && bytes.Equal(p.Pixels, j.repetition.before.Pixels)
	}
	return presentation <= j.last && j.last-presentation < maxJump
}

// Timeout is how long the camera may take for its next frame, at its own rate,
// before the limit counts as passed.
func (j *Detector) Timeout(limit time.Duration) time.Duration { return j.rate.timeout(limit) }

// Status is what to think of the camera at the instant now, and why.
func (j *Detector) Status(now time.Time) (drivers.Status, string) {
	switch {
	case j.unreachable != "":
		return drivers.Absent, j.unreachable
	case j.newest.IsZero() && j.fault != "":
		return drivers.Absent, j.fault
	case j.newest.IsZero():
		return drivers.Absent, "no frame yet"
	case now.Sub(j.newest) >= j.rate.timeout(j.limits.StaleAfter):
		return drivers.Stale, j.staleCause(now)
	case !j.blackSince.IsZero() && now.Sub(j.blackSince) >= j.limits.BlackAfter:
		return drivers.Black, fmt.Sprintf("the picture has been black for %v", round(now.Sub(j.blackSince)))
	case j.repetition.found:
		return drivers.Frozen, fmt.Sprintf("the same picture, without the camera's noise, for %v or longer", round(j.limits.FrozenAfter))
	case j.motionless.holds(now, j.limits.FrozenAfter) && j.identical.holds(now, j.limits.FrozenAfter/2):
		return drivers.Frozen, fmt.Sprintf("the same picture for %v", round(now.Sub(j.motionless.since)))
	case j.motionless.holds(now, motionlessFactor*j.limits.FrozenAfter):
		return drivers.Frozen, fmt.Sprintf("nothing has moved in the picture for %v", round(now.Sub(j.motionless.since)))
	default:
		return drivers.OK, ""
	}
}

func (j *Detector) staleCause(now time.Time) string {
	cause := fmt.Sprintf("no new frame for %v", round(now.Sub(j.newest)))
	if j.fault != "" {
		cause += ": " + j.fault
	}
	return cause
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }

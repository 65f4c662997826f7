// Package liveness detects whether a camera's pictures are live, and when they were
// taken. It does no I/O: its input is presentation times, arrival times and small grey
// pictures.
//
// A faulty camera rarely reports the fault. It keeps delivering a picture: always the
// same (frozen), no new one (stale), or an empty one (black). So the video is live only
// while its time advances and its content changes.
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

// Limits are how long each fault must last to become the status.
type Limits struct {
	StaleAfter, FrozenAfter, BlackAfter time.Duration
}

const (
	// motionlessFactor × FrozenAfter is how long noise alone counts as live.
	motionlessFactor = 10
	// burstDistance is the usual interval of bursts of frames, where only the first pictures of
	// each second are decoded.
	burstDistance = time.Second
	// minFrames are needed to detect repetition.
	minFrames = 4
)

// Detector observes one camera across openings of its stream. It is not safe for
// concurrent use.
type Detector struct {
	limits Limits
	clock  clock

	rate       rate
	open       bool
	newest     time.Time // when the newest frame was taken; zero before the first
	undecoded  time.Time // when the newest picture arrived that is not decoded; zero without one
	last       time.Duration
	blackSince time.Time // since when the picture has been black; zero while it is not

	identical  anchor // since the first of equal pictures
	picture    Picture
	motionless anchor // since the first picture after which nothing moved
	cellMeans  []byte
	repetition repetition

	unreachable string // why the camera is unreachable, empty while it is reachable
	fault       string // why the stream delivers no frames, empty while it does
}

// anchor is the frame that later ones are compared with.
type anchor struct {
	since  time.Time
	frames int // compared since
}

func (a anchor) holds(now time.Time, limit time.Duration) bool {
	return a.frames >= minFrames && now.Sub(a.since) >= limit
}

// NewDetector returns the detector of a camera that has not been opened yet.
func NewDetector(limits Limits) *Detector { return &Detector{limits: limits} }

// Opened notes that a stream was opened, so presentation times start again.
func (d *Detector) Opened() {
	d.open, d.unreachable, d.undecoded = false, "", time.Time{}
	d.clock.Restart()
	d.rate.last = time.Time{}
}

// Closed notes that the stream ended or failed; cause is for the operator.
func (d *Detector) Closed(cause string) { d.open, d.unreachable, d.fault = false, "", cause }

// Absent notes that the camera is unreachable.
func (d *Detector) Absent(cause string) { d.open, d.unreachable = false, cause }

// Frame notes a frame and returns when it was taken, or that it repeats the last one: a
// decoder returns the last frame again when no new one has arrived. Its presentation
// time shows that, or its pixels if it has no time. The detector keeps the picture.
//
// All durations count from when a frame was taken, not from its arrival. So frames that
// the decoder still buffered when the stream stopped do not make it live again, and a
// stream that lags more and more becomes stale.
func (d *Detector) Frame(presentation time.Duration, arrival time.Time, p Picture) (taken time.Time, isNew bool) {
	if d.open && d.isRepeat(presentation, p) {
		return time.Time{}, false
	}
	taken = d.clock.captureTime(presentation, arrival)
	before := d.newest
	d.open, d.newest, d.last, d.fault = true, taken, presentation, ""
	// A change across a gap between bursts began somewhere in it; its middle is the expected
	// time. Of a stall, which is longer, no more counts than of such a gap.
	since := taken
	missing := d.rate.frame(taken, !d.clock.waited())
	if missing > 0 {
		since = taken.Add(-min(taken.Sub(before), burstDistance) / 2)
	}
	switch {
	case !p.black():
		d.blackSince = time.Time{}
	case d.blackSince.IsZero():
		d.blackSince = since
	}
	d.repetition.frame(taken, missing, p, d.limits.FrozenAfter)
	d.identical.frames++
	if changed(d.picture, p) {
		d.identical, d.picture = anchor{since: taken}, p
	}
	d.motionless.frames++
	if sketch := p.cellMeans(); shifted(d.cellMeans, sketch) {
		d.motionless, d.cellMeans = anchor{since: since}, sketch
	}
	return taken, true
}

// Undecoded notes when the newest picture arrived while only a few of each second were
// decoded; zero if all have been.
func (d *Detector) Undecoded(arrival time.Time) { d.undecoded = arrival }

// fresh is the time since when no picture has arrived. A picture that is not decoded counts too,
// for burstDistance at most: the next frame is not due before.
func (d *Detector) fresh() time.Time {
	if d.undecoded.After(d.newest) {
		return earliest(d.undecoded, d.newest.Add(burstDistance))
	}
	return d.newest
}

// isRepeat reports whether a frame repeats the last one. A time that fell back by
// maxJump belongs to another frame: the camera restarted its count.
func (d *Detector) isRepeat(presentation time.Duration, p Picture) bool {
	if !hasTime(presentation) || !hasTime(d.last) {
		return presentation == d.last && bytes.Equal(p.Pixels, d.repetition.before.Pixels)
	}
	return presentation <= d.last && d.last-presentation < maxJump
}

// Timeout is how long the next frame may take: the limit, or longer at a slow frame
// rate.
func (d *Detector) Timeout(limit time.Duration) time.Duration { return d.rate.timeout(limit) }

// Status is the camera's status at now, and its cause.
func (d *Detector) Status(now time.Time) (drivers.Status, string) {
	switch {
	case d.unreachable != "":
		return drivers.Absent, d.unreachable
	case d.newest.IsZero() && d.fault != "":
		return drivers.Absent, d.fault
	case d.newest.IsZero():
		return drivers.Absent, "no frame yet"
	case now.Sub(d.fresh()) >= d.rate.timeout(d.limits.StaleAfter):
		return drivers.Stale, d.staleCause(now)
	case !d.blackSince.IsZero() && now.Sub(d.blackSince) >= d.limits.BlackAfter:
		return drivers.Black, fmt.Sprintf("the picture has been black for %v", round(now.Sub(d.blackSince)))
	case d.repetition.holds(now, d.limits.FrozenAfter):
		return drivers.Frozen, fmt.Sprintf("the same picture, without the camera's noise, for %v or longer", round(d.limits.FrozenAfter))
	case d.motionless.holds(now, d.limits.FrozenAfter) && d.identical.holds(d.newest, d.limits.FrozenAfter/2):
		return drivers.Frozen, fmt.Sprintf("the same picture for %v", round(now.Sub(d.motionless.since)))
	case d.motionless.holds(now, motionlessFactor*d.limits.FrozenAfter):
		return drivers.Frozen, fmt.Sprintf("nothing has moved in the picture for %v", round(now.Sub(d.motionless.since)))
	default:
		return drivers.OK, ""
	}
}

func (d *Detector) staleCause(now time.Time) string {
	cause := fmt.Sprintf("no new frame for %v", round(now.Sub(d.newest)))
	if d.fault != "" {
		cause += ": " + d.fault
	}
	return cause
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }

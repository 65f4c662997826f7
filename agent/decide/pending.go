package decide

import (
	"context"
	"time"

	"meltwatch/agent/align"
	"meltwatch/drivers"
)

// A second is decided as soon as every sample and frame of its window has arrived. While
// one of them may still be on its way, the second waits for it until it is due, and no
// longer. Which values a window holds, and its verdict, are therefore the same as if each
// second had waited until then; only the frame of a camera with at least five pictures a
// second may be an earlier one of the same slot.
//
// Where the camera's child decodes only a burst of frames each second, a second takes the newest
// frame that has arrived, and waits for none: the next burst would often arrive too late. A
// frame that arrived too late for its second is encoded with the next one, so the window has
// no gap.
//
// A second's frame has usually arrived before its newest sample. It is then encoded while the
// second waits for that sample, so that only the step is left once it has come.

// Refresher is a Video that can be asked for a newer frame than it would have at the time.
type Refresher interface {
	// Refresh asks for the newest frame. The channel is closed once Newest returns it,
	// and may stay open if the source does not answer.
	Refresh() <-chan struct{}
}

const (
	// early puts Due behind its window's end by more than the rounding of a stamp.
	early = 5 * time.Millisecond
	// refreshLead is how long before a window's end its frame is asked for.
	refreshLead = 20 * time.Millisecond
	// refreshEvery is the least interval of such requests.
	refreshEvery = 20 * time.Millisecond
	// quick is the interval of frames up to which it does not matter which of a slot's
	// frames is used.
	quick = 200 * time.Millisecond
	// betweenLimit is the number of such seconds after which a window ends one slot earlier,
	// once: those of a meter that is read once a second would otherwise end half a second
	// after its sample, or not, by chance.
	betweenLimit = 10
	// usualStep is the least distance of two windows' ends in regular operation. A window
	// that follows sooner belongs to a schedule that has just moved.
	usualStep = 700 * time.Millisecond
)

// Due is the instant until which a window that ends at end may wait for late values. A
// second that was decided at now waited no longer than until then.
func Due(end, now time.Time) time.Time {
	if due := end.Add(align.Settle + early); due.After(now) {
		return due
	}
	return now
}

// pending is what the next second waits for.
type pending struct {
	// due is until when it waits at most, no sooner than earliest and no later than
	// latest.
	due, earliest, latest time.Time
	// answer is open while the video has not answered; nil without a question.
	answer <-chan struct{}
	asked  bool      // the video was asked for this second
	again  time.Time // when it may be asked again
	frames cadence
	// ahead is the frame that was to be encoded before the second is decided; its Number is 0 if
	// none was. aheadTook is how long that took.
	ahead     drivers.Frame
	aheadTook time.Duration
	// between counts the seconds in a row whose window would have ended nearer to a sample,
	// or to a burst of frames, one slot earlier.
	between int
}

// begin prepares for the next second.
func (p *pending) begin(now time.Time) {
	p.earliest, p.latest = now.Add(300*time.Millisecond), now.Add(1200*time.Millisecond)
	p.answer, p.asked, p.again = nil, false, time.Time{}
	p.ahead, p.aheadTook = drivers.Frame{}, 0
}

// schedule sets when the second is due whose window should end at end. The bounds keep one
// verdict a second while the grid is being estimated.
func (p *pending) schedule(end time.Time) {
	p.due = end.Add(align.Settle + early)
	if p.due.Before(p.earliest) {
		p.due = p.earliest
	}
	if p.due.After(p.latest) {
		p.due = p.latest
	}
}

func (p *pending) answered() { p.answer = nil }

// wait returns how long the next second must still wait unless something arrives before;
// 0 if it can be decided.
func (l *Loop) wait(now time.Time) time.Duration {
	p := &l.pending
	if !l.last.End.IsZero() {
		p.schedule(l.decider.aligner.NearestEnd(l.last.End.Add(l.step())))
	}
	left := p.due.Sub(now)
	end := l.decider.aligner.End(p.due)
	lead := refreshLead
	if !l.last.End.IsZero() && l.last.Frame.Number == 0 {
		lead = 0 // the camera is absent, or has not sent a picture yet
	}
	switch opens := end.Add(-lead).Sub(now); {
	case left <= 0:
		return 0
	case end.Sub(l.last.End) < usualStep:
		return left
	case opens > 0:
		return opens
	}
	wait := l.awaitFrame(end, now)
	if l.decider.awaitsSample(end, p.due, now) {
		wait = left
	}
	return min(max(wait, end.Sub(now)), left)
}

// step is the distance from the last window's end to the next one's.
func (l *Loop) step() time.Duration {
	if l.pending.between < betweenLimit {
		return time.Second
	}
	return time.Second - l.decider.aligner.SlotPeriod()
}

// begin prepares for the second after the last one.
func (l *Loop) begin(now time.Time) {
	l.pending.begin(now)
	// Two seconds ago every sample has arrived, however late.
	before := l.last.End.Add(-2 * time.Second)
	if l.pending.between < betweenLimit && (l.decider.aligner.BetterEarlier(before) || l.burstBetterEarlier(before)) {
		l.pending.between++
	} else {
		l.pending.between = 0
	}
}

// A frame of a burst whose age at the window's end is between these is not in the newest slot,
// and is in that of a window that ends half a second earlier, and would have arrived in time.
const (
	leastBurstAge = 650 * time.Millisecond
	mostBurstAge  = 960 * time.Millisecond
)

// burstBetterEarlier reports whether windows that end one slot earlier would have a frame in
// their newest slot, which this one lacks, and samples as good.
func (l *Loop) burstBetterEarlier(end time.Time) bool {
	age := l.last.End.Sub(l.last.Frame.Time)
	return l.last.Frame.Burst && l.last.Video.Live() && age > leastBurstAge && age < mostBurstAge &&
		l.step() == time.Second && l.decider.aligner.AsGoodEarlier(end)
}

// awaitFrame returns how long to wait until the video must be asked again, or until the
// second is due; 0 if no frame is on its way that the second needs.
func (l *Loop) awaitFrame(end, now time.Time) time.Duration {
	p := &l.pending
	if _, status := l.video.Newest(); !status.Live() {
		return 0
	}
	if !p.asked || p.answer == nil && !p.again.After(now) && l.framePending(end) {
		p.asked, p.again = true, now.Add(refreshEvery)
		if video, ok := l.video.(Refresher); ok {
			p.answer = video.Refresh()
		}
	}
	switch {
	case p.answer != nil:
		return p.due.Sub(now)
	case l.framePending(end):
		return p.again.Sub(now)
	default:
		return 0
	}
}

// encodeAhead encodes the frame of the second that waits for its newest sample, once in a
// second, and reports whether it did. No frame that is still to come would be used instead.
func (l *Loop) encodeAhead(ctx context.Context, now time.Time) bool {
	p := &l.pending
	if l.last.Fault != nil {
		return false // a model that is slow or silent is called once a second
	}
	if p.ahead.Number > 0 || !p.asked || p.answer != nil || !p.due.After(now) || l.framePending(l.decider.aligner.End(p.due)) {
		return false
	}
	frame, status := l.video.Newest()
	if frame.Number == 0 || !status.Live() || frame.Burst && !p.frames.began.After(l.decider.lastFrame) {
		return false // a later frame of a burst is needed only if no other burst comes
	}
	p.ahead = frame
	began := time.Now()
	l.decider.EncodeAhead(ctx, p.due, frame, status, p.frames.earlier)
	p.aheadTook = time.Since(began)
	return true
}

// frameOf returns the frame of the second that is due: the newest one, or the one that was to be
// encoded ahead, if it is a neighbour of the newest one.
func (l *Loop) frameOf(newest drivers.Frame, due time.Time) drivers.Frame {
	p := &l.pending
	if p.ahead.Number == 0 || p.ahead.Stream != newest.Stream {
		return newest
	}
	interval, known := p.frames.shortest()
	neighbours := known && interval <= quick && l.decider.aligner.RecentFrame(l.decider.aligner.End(due), p.ahead.Time)
	if newest.Burst {
		neighbours = !p.frames.began.After(p.ahead.Time)
	}
	if neighbours {
		return p.ahead
	}
	return newest
}

// framePending reports whether a frame that is still to come would be used instead of the
// newest one.
func (l *Loop) framePending(end time.Time) bool {
	newest := l.newest()
	if newest.Burst {
		return false
	}
	due := l.pending.due
	switch interval, known := l.pending.frames.shortest(); {
	case !known:
		return true
	case interval > quick:
		return !newest.Time.Add(interval - interval/8).After(due)
	default:
		return !l.decider.aligner.RecentFrame(end, newest.Time)
	}
}

// awaitsSample reports whether a sample of the window may still arrive.
func (d *Decider) awaitsSample(end, due, now time.Time) bool {
	status, _ := d.current.status(now)
	return status != drivers.Absent && d.aligner.SamplePending(end, d.current.next, due)
}

// newest is the newest frame; it is noted.
func (l *Loop) newest() drivers.Frame {
	newest, status := l.video.Newest()
	l.pending.frames.note(newest, status)
	return newest
}

// betweenBursts is longer than the interval of neighbours, and shorter than that from the last
// frame of a burst to the first of the next one.
const betweenBursts = 400 * time.Millisecond

// Burst is what a second needs to know of neighbouring frames.
type Burst struct {
	// Began is the instant of the first frame of it that was seen.
	Began time.Time
	// Newest is its last frame. Its Number is 0 if no pixels were kept.
	Newest drivers.Frame
}

// cadence measures the interval of a camera's frames.
type cadence struct {
	// last is the newest frame, which belongs to a burst that began at began. earlier is the
	// burst before.
	last    drivers.Frame
	began   time.Time
	earlier Burst
	recent  [4]time.Duration // 0 where unknown
	n       int
}

// note adds the newest frame. What came while the video was not live is never encoded, so its
// pixels are not kept.
func (c *cadence) note(f drivers.Frame, video drivers.Status) {
	switch {
	case f.Stream != c.last.Stream || f.Number < c.last.Number:
		*c = cadence{last: f, began: f.Time}
	case f.Number > c.last.Number:
		if c.last.Number > 0 {
			c.recent[c.n%len(c.recent)] = f.Time.Sub(c.last.Time) / time.Duration(f.Number-c.last.Number)
			c.n++
		}
		if f.Time.Sub(c.last.Time) > betweenBursts {
			c.earlier = Burst{}
			if len(c.last.Pixels) > 0 {
				c.earlier = Burst{Began: c.began, Newest: c.last}
			}
			c.began = f.Time
		}
		c.last = f
	}
	if !f.Burst || !video.Live() {
		c.last.Pixels, c.earlier = nil, Burst{} // they are not used then
	}
}

// shortest is the shortest of the last intervals.
func (c *cadence) shortest() (shortest time.Duration, known bool) {
	for _, interval := range c.recent {
		if interval > 0 && (!known || interval < shortest) {
			shortest, known = interval, true
		}
	}
	return shortest, known
}

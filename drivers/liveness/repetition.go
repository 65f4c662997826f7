package liveness

import (
	"slices"
	"time"
)

const (
	// minFloor is the least share of the pixels that a camera's noise must change from
	// each frame to the next; below it, missing noise proves nothing.
	minFloor = 0.03
	// A frame is settled against the previous one if fewer pixels changed than a
	// floorPart of the floor, or than settledShare. A clock shown in the picture
	// stays below settledShare.
	settledFloorShare = 1. / 3
	settledShare      = 0.01
	// repeatedShare of the frames in each half of a spell are settled in a repeated
	// picture. The rest are the encoder's key frames, on which it spends the bits
	// that it saved. Measured with low-bitrate encoders: above 0.67; in a live
	// picture, 0.
	repeatedShare = 0.5
	// The floor is the floorQuantile of what live frames changed. It begins at half
	// the lower quartile of the first floorFrames, and then moves by floorStep of itself a
	// frame. A mean would be raised by the few frames in which something moved, and a floor
	// above what live frames change calls them all settled.
	floorQuantile = 0.05
	floorFrames   = 25
	// While it is below minFloor it is estimated anew from so many frames: the first ones may
	// have been repeats, or have moved.
	laterFrames = 250
	floorStep   = 0.02
	// learningDelay is how many spells pass before the floor learns from a frame: by
	// then a repetition would have been detected.
	learningDelay = 2
	// maxStandIn bounds the frames that replace those missing in a gap, when the floor learns;
	// maxMissing bounds the missing ones.
	maxStandIn = 8
	maxMissing = 50
	// repeatedBursts bursts in a row must be settled, begin at most maxBurst apart, and have
	// minFrames comparisons together.
	repeatedBursts = 2
	maxBurst       = 1500 * time.Millisecond
	// disprovingMoves of the picture disprove a repetition, each at most moveDistance after the
	// one before: a stuck camera may show another picture now and then.
	disprovingMoves = 3
	moveDistance    = 2 * maxBurst
	// So does noise in noisyShare of the frames, over noisySpells times the limit: the camera's
	// noise has become less. Of a repeated picture at most half of the frames change so much.
	noisyShare  = 0.8
	noisySpells = 2
)

// repetition detects a repeated picture: it lacks the noise that this camera shows in
// every live frame. An encoder that is short of bits changes a repeated picture more
// than a live one at key frames, and hardly at all between them. It does not apply to
// cameras whose encoder drops the noise.
//
// Where frames come in bursts, because only the first ones of each group of pictures are
// decoded, each burst must be settled. A comparison across the gap between two bursts does
// not count, because much may have moved in the gap, so it does not show the camera's noise.
type repetition struct {
	before Picture
	recent []change // of the last quarantine, oldest first
	floor  float64
	// estimated are shares from which the floor is estimated; known says whether it has been.
	estimated []float64
	known     bool
	// standIn are the last shares that the floor has learnt since a gap.
	standIn []float64
	// since is when the repetition began; zero while there is none.
	since time.Time
	doubt doubt // about the present one
}

// doubt counts what a repeated picture cannot do. However few bits an encoder has, it returns
// to the same picture between two key frames: at the end of a run of settled frames, no cell
// of it differs from the end of the run before.
type doubt struct {
	inRun bool
	began time.Time // of the run
	still []byte    // cell means at the end of the last run
	moves int
	moved time.Time // when the last of these moves was seen

	spell         time.Time // when the spell began whose frames are counted
	frames, noisy int
	noisySpells   int
}

// frame notes a frame of a repetition, and the picture before it. limit is how long a picture must
// repeat.
func (d *doubt) frame(c change, isSettled bool, before Picture, limit time.Duration) {
	if d.inRun && (!isSettled || c.taken.Sub(d.began) > maxBurst) {
		d.endRun(c.taken, before)
		d.inRun = false
	}
	if isSettled && !d.inRun {
		d.inRun, d.began = true, c.taken
	}
	if c.missing > 0 {
		return
	}
	if d.frames++; c.share >= minFloor {
		d.noisy++
	}
	if d.spell.IsZero() {
		d.spell = c.taken
	}
	if c.taken.Sub(d.spell) < limit || d.frames < minFrames {
		return
	}
	if d.noisySpells++; float64(d.noisy) < noisyShare*float64(d.frames) {
		d.noisySpells = 0
	}
	d.spell, d.frames, d.noisy = c.taken, 0, 0
}

func (d *doubt) endRun(now time.Time, before Picture) {
	means := before.cellMeans()
	if now.Sub(d.moved) > moveDistance {
		d.moves = 0
	}
	if d.still != nil && shifted(d.still, means) {
		d.moves, d.moved = d.moves+1, now
	}
	d.still = means
}

// disproved reports whether the picture is not repeated.
func (d *doubt) disproved() bool { return d.moves >= disprovingMoves || d.noisySpells >= noisySpells }

// change is the share of the pixels that a frame changed.
type change struct {
	taken   time.Time
	share   float64
	missing int           // frames between it and the one before
	gap     time.Duration // between the two, if frames are missing
}

// holds reports whether the picture has repeated for a time.
func (r *repetition) holds(now time.Time, limit time.Duration) bool {
	return !r.since.IsZero() && now.Sub(r.since) >= limit
}

// frame notes a frame; missing is the number of frames missing before it, and limit is how
// long a picture must repeat.
func (r *repetition) frame(taken time.Time, missing int, p Picture, limit time.Duration) {
	// A quarter more, because half of the first half may be of the time before.
	spell := limit * 5 / 4
	before := r.before
	r.before = p
	if len(before.Pixels) != len(p.Pixels) || len(p.Pixels) == 0 {
		r.recent, r.standIn, r.since, r.doubt = nil, nil, time.Time{}, doubt{}
		return
	}
	c := change{taken: taken, missing: missing}
	switch {
	case missing == 0:
		c.share = changedBy(before, p)
	case len(r.recent) > 0:
		c.gap = taken.Sub(r.recent[len(r.recent)-1].taken)
	default:
		c.gap = maxBurst + 1 // unknown, so nothing is to be learnt from it
	}
	r.recent = append(r.recent, c)
	for len(r.recent) > 2*minFrames && taken.Sub(r.recent[0].taken) > learningDelay*spell {
		if r.since.IsZero() {
			r.learnFrom(r.recent[0])
		}
		r.recent = r.recent[1:]
	}
	switch since := r.repeatedSince(taken, spell, limit); {
	case !since.IsZero():
		if r.since.IsZero() || since.Before(r.since) {
			r.since = since
		}
	case r.holds(taken, limit): // these frames say nothing about a live picture
		r.recent, r.standIn, r.since = nil, nil, time.Time{}
	default:
		r.since = time.Time{}
	}
	if !r.holds(taken, limit) {
		r.doubt = doubt{}
		return
	}
	r.doubt.frame(c, missing == 0 && r.settled(c), before, limit)
	if r.doubt.disproved() { // the floor was too high, so it is learnt anew
		*r = repetition{before: p}
	}
}

// repeatedSince is when the repetition began, zero if there is none.
func (r *repetition) repeatedSince(taken time.Time, spell, limit time.Duration) time.Time {
	switch {
	case r.floor < minFloor: // or not known yet
		return time.Time{}
	case r.repeated(spell):
		return taken.Add(-limit)
	default:
		return r.settledSince()
	}
}

// learnFrom learns from a frame. Those before a gap between bursts replace the ones that are
// missing in it, so that the floor follows the light as quickly as if every picture were
// decoded. Nothing replaces those of a stall, nor the first ones: a few frames would weigh more
// than all others.
func (r *repetition) learnFrom(c change) {
	if c.missing == 0 {
		r.learn(c.share)
		if len(r.standIn) == maxStandIn {
			r.standIn = r.standIn[1:]
		}
		r.standIn = append(r.standIn, c.share)
		return
	}
	if c.gap <= maxBurst && r.floor >= minFloor {
		for n := range min(c.missing, maxMissing) {
			if len(r.standIn) > 0 {
				r.learn(r.standIn[n%len(r.standIn)])
			}
		}
	}
	r.standIn = nil
}

func (r *repetition) learn(share float64) {
	switch {
	case r.floor < minFloor:
		r.estimate(share)
	case share < r.floor:
		r.floor *= 1 - (1-floorQuantile)*floorStep
	default:
		r.floor *= 1 + floorQuantile*floorStep
	}
}

// estimate sets the floor to half the lower quartile of the next frames.
func (r *repetition) estimate(share float64) {
	r.estimated = append(r.estimated, share)
	if n := len(r.estimated); n == laterFrames || !r.known && n == floorFrames {
		slices.Sort(r.estimated)
		r.floor, r.known, r.estimated = r.estimated[n/4]/2, true, nil
	}
}

func (r *repetition) mostSettled(burst []change) bool {
	settled := 0
	for _, c := range burst {
		if r.settled(c) {
			settled++
		}
	}
	return float64(settled) >= repeatedShare*float64(len(burst))
}

func (r *repetition) settled(c change) bool {
	return c.share <= max(settledShare, settledFloorShare*r.floor)
}

// repeated reports whether enough frames are settled in both halves of the last
// spell.
func (r *repetition) repeated(spell time.Duration) bool {
	newest := len(r.recent) - 1
	now, oldest := r.recent[newest].taken, newest
	for oldest > 0 && (now.Sub(r.recent[oldest].taken) < spell || newest-oldest < 2*minFrames) {
		oldest--
	}
	length := now.Sub(r.recent[oldest].taken)
	if length < spell {
		return false
	}
	var frames, settled [2]int
	for _, c := range r.recent[oldest+1:] {
		if c.missing > 0 {
			continue
		}
		half := 0
		if now.Sub(c.taken) < length/2 {
			half = 1
		}
		frames[half]++
		if r.settled(c) {
			settled[half]++
		}
	}
	for half := range frames {
		if frames[half] == 0 || float64(settled[half]) < repeatedShare*float64(frames[half]) {
			return false
		}
	}
	return true
}

// settledSince is the time since when bursts of frames have been settled, zero if the last
// ones are not. If the first comparison after a gap is settled too, the repetition may have
// begun anywhere in the gap; its middle is the expected time.
func (r *repetition) settledSince() (since time.Time) {
	bursts, compared := 0, 0
	end, next := len(r.recent), time.Time{} // the burst ends there, and the next one begins then
	for begin := end - 1; begin > 0; begin-- {
		gap := r.recent[begin]
		if gap.missing == 0 {
			continue
		}
		burst := r.recent[begin+1 : end]
		far := !next.IsZero() && next.Sub(gap.taken) > maxBurst
		if len(burst) > 0 && (far || !r.mostSettled(burst)) || len(burst) == 0 && bursts > 0 {
			break
		}
		end, next = begin, gap.taken
		if len(burst) == 0 { // its first comparison is still to come
			continue
		}
		bursts, compared = bursts+1, compared+len(burst)
		if since = gap.taken; r.settled(burst[0]) {
			since = gap.taken.Add(-gap.taken.Sub(r.recent[begin-1].taken) / 2)
		}
	}
	if bursts < repeatedBursts || compared < minFrames {
		return time.Time{}
	}
	return since
}

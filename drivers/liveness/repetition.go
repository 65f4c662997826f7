package liveness

import "time"

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
	// the mean of the first floorFrames, and then moves by floorStep of itself a frame.
	floorQuantile = 0.05
	floorFrames   = 25
	floorStep     = 0.02
	// learningDelay is how many spells pass before the floor learns from a frame: by
	// then a repetition would have been detected.
	learningDelay = 2
)

// repetition detects a repeated picture: it lacks the noise that this camera shows in
// every live frame. An encoder that is short of bits changes a repeated picture more
// than a live one at key frames, and hardly at all between them. It does not apply to
// cameras whose encoder drops the noise.
type repetition struct {
	before Picture
	recent []change // of the last quarantine, oldest first
	floor  float64
	learnt int  // frames in the floor
	found  bool // the picture has repeated for a spell
}

// change is the share of the pixels that a frame changed.
type change struct {
	taken time.Time
	share float64
}

// frame notes a frame; spell is how long a picture must repeat.
func (r *repetition) frame(taken time.Time, p Picture, spell time.Duration) {
	before := r.before
	r.before = p
	if len(before.Pixels) != len(p.Pixels) || len(p.Pixels) == 0 {
		r.recent, r.found = nil, false
		return
	}
	r.recent = append(r.recent, change{taken, changedBy(before, p)})
	for len(r.recent) > 2*minFrames && taken.Sub(r.recent[0].taken) > learningDelay*spell {
		if !r.found {
			r.learn(r.recent[0].share)
		}
		r.recent = r.recent[1:]
	}
	switch found := r.learnt >= floorFrames && r.floor >= minFloor && r.repeated(spell); {
	case found:
		r.found = true
	case r.found: // these frames say nothing about a live picture
		r.recent, r.found = nil, false
	}
}

func (r *repetition) learn(share float64) {
	r.learnt++
	switch {
	case r.learnt <= floorFrames:
		r.floor += (share/2 - r.floor) / float64(r.learnt)
	case share < r.floor:
		r.floor *= 1 - (1-floorQuantile)*floorStep
	default:
		// The floor must stay above 0, or it could not rise again.
		r.floor = max(r.floor*(1+floorQuantile*floorStep), minFloor/100)
	}
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
		half := 0
		if now.Sub(c.taken) < length/2 {
			half = 1
		}
		frames[half]++
		if c.share <= max(settledShare, settledFloorShare*r.floor) {
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

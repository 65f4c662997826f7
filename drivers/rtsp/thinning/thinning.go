// Package thinning decides which pictures of a camera's stream are decoded, because a model
// that takes one picture a second does not need all of them. It does no I/O.
//
// A group of pictures begins with an IDR picture, which refers to none before it. Each of
// its pictures refers to earlier ones of its group alone, so the first ones can be decoded
// without the rest. While the groups are alike and at most about a second long, the first
// pictures of each pass and the others are dropped. If a group becomes longer than expected,
// because the camera has changed or a key frame was lost, thinning ends at the next key frame:
// no picture before it can be decoded. It resumes after a minute of groups that are alike, and
// after twice as many each further time, unless it had lasted sixty times as long: a network
// that loses a key frame now and then must not end it for days.
//
// Any picture of a stream of key frames alone, such as Motion JPEG, can be decoded by itself.
// Such a stream is divided into groups of a second.
//
// Lengths are those of the stamps, which do not depend on the network. The stamps of some
// cameras run slower than their description says, so the arrivals must not contradict them.
package thinning

import (
	"slices"
	"time"
)

const (
	// alikeGroups are the groups in a row that must be alike before pictures are dropped.
	alikeGroups = 5
	// longestGroup bounds their length, in seconds: that of a camera with a key frame each
	// second whose rate is a little off.
	longestGroup = 1.1
	// longestArrival bounds the median of their lengths by the packets' arrival, in seconds. A
	// pause of the network makes one of them longer and others shorter, which does not change
	// the median much.
	longestArrival = 1.4
	// alikeShare is how far their lengths may differ.
	alikeShare = 0.15
	// overdueFactor × the longest of them is the length after which a group is longer than
	// expected.
	overdueFactor = 1.3
	// firstRest groups in a row must be alike after a group that was longer than expected, and
	// twice as many after each further one, up to mostRest. It is firstRest again if
	// forgivenAfter times as many groups as in the last rest have been thinned since.
	firstRest     = 60
	mostRest      = 1 << 20
	forgivenAfter = 60
	// leastSaving is how many pictures a group must have for each one that is kept.
	leastSaving = 2
	// intraGroup is the length in seconds of the groups into which a stream of key frames
	// alone is divided. It is less than a second by the jitter of a timestamp.
	intraGroup = 0.99
)

// Packet is what one RTP packet reveals. All packets of a picture have one stamp.
type Packet struct {
	Stamp   uint32
	Arrived time.Time
	// Sets is true if it holds parameter sets, IDR if it holds a part of an IDR picture, and
	// Other if it holds a part of any other picture.
	Sets, IDR, Other bool
}

// Thinner follows one stream. The zero value drops nothing.
type Thinner struct {
	keep int
	rate float64

	groups [alikeGroups]group // the last complete ones, a ring
	closed int                // complete groups

	begun    bool      // an IDR picture has come
	mixed    bool      // a picture of another kind has come
	key      uint32    // stamp of the present group's first picture
	came     time.Time // when that picture came
	group    group     // the present one
	dropping bool      // the rest of the present group is dropped
	expected float64   // its length at most, in seconds
	ends     bool      // the next group is not thinned
	rest     int       // further groups that must be alike before one is thinned
	lastRest int
	thinned  int // groups since the last rest

	picture picture
	dropped uint16 // packets
}

// group is an IDR picture and those up to the next one.
type group struct {
	pictures int
	sets     int // pictures with parameter sets
	seconds  float64
	arrival  float64 // seconds from its first picture's arrival to the next group's
	odd      bool    // its rest must not be dropped
}

// picture is what is known of the picture whose packets arrive.
type picture struct {
	stamp   uint32
	begun   bool
	kind    kind
	number  int // in its group, from 1
	sets    bool
	skipped bool
}

type kind int

const (
	unknownKind kind = iota // no slice has arrived yet
	idrKind
	otherKind
)

// New returns a thinner that keeps so many pictures of each group, or all if keep is 0. rate
// is that of the stamps, in Hz.
func New(keep int, rate float64) *Thinner { return &Thinner{keep: keep, rate: rate} }

// Packet reports whether a packet passes. skips is true at the first packet of a picture that
// is dropped.
func (t *Thinner) Packet(p Packet) (passes, skips bool) {
	if t.keep <= 0 || t.rate <= 0 {
		return true, false
	}
	if !t.picture.begun || p.Stamp != t.picture.stamp {
		t.begin(p.Stamp)
	}
	t.classify(p)
	if t.passes(p) {
		return true, false
	}
	t.dropped++
	skips = !t.picture.skipped && t.picture.kind != unknownKind
	t.picture.skipped = t.picture.skipped || skips
	return false, skips
}

// Dropping reports whether pictures of the present group are dropped.
func (t *Thinner) Dropping() bool { return t.dropping }

// Number is the new sequence number of a packet that passes, from its own: so the decoder
// misses only packets that the network lost.
func (t *Thinner) Number(own uint16) uint16 { return own - t.dropped }

func (t *Thinner) begin(stamp uint32) {
	if t.picture.sets {
		t.group.sets++
	}
	if t.picture.begun && int32(stamp-t.picture.stamp) < 0 {
		t.group.odd = true // pictures are not shown in the order in which they come
	}
	t.group.pictures++
	t.picture = picture{stamp: stamp, begun: true, number: t.group.pictures}
}

// classify notes what a packet reveals of its picture.
func (t *Thinner) classify(seen Packet) {
	p := &t.picture
	p.sets = p.sets || seen.Sets
	if seen.Other {
		t.mixed = true
		// Parameter sets between key frames must pass, and cannot be distinguished from a key
		// frame's before a slice arrives.
		t.group.odd = t.group.odd || p.kind == idrKind || p.sets
		t.ends = t.ends || t.dropping && (t.group.odd || p.number > t.keep && t.length() > t.expected)
	}
	switch {
	case p.kind != unknownKind:
	case seen.Other:
		p.kind = otherKind
	case seen.IDR:
		p.kind = idrKind
		if t.mixed || !t.begun || t.length() >= intraGroup || t.length() < 0 { // or the stamps have begun anew
			t.beginGroup(seen.Arrived)
		}
	}
}

func (t *Thinner) beginGroup(arrived time.Time) {
	if t.begun {
		t.group.pictures-- // the one that begins the next group
		t.group.seconds, t.group.arrival = t.length(), arrived.Sub(t.came).Seconds()
		t.groups[t.closed%alikeGroups] = t.group
		t.closed++
	}
	t.begun, t.key, t.came, t.group = true, t.picture.stamp, arrived, group{pictures: 1}
	t.picture.number = 1
	alike := t.alike()
	switch {
	case t.ends:
		t.ends = false
		if t.thinned >= forgivenAfter*t.lastRest {
			t.lastRest = 0
		}
		t.thinned = 0
		t.lastRest = min(max(firstRest, 2*t.lastRest), mostRest)
		t.rest = t.lastRest
	case !alike:
		t.rest = t.lastRest
	default:
		t.rest = max(t.rest-1, 0)
	}
	if t.dropping = alike && t.rest == 0; t.dropping {
		t.thinned++
	}
}

// length is how long the present group has lasted, in seconds.
func (t *Thinner) length() float64 { return float64(int32(t.picture.stamp-t.key)) / t.rate }

// alike reports whether the rest of the next group can be dropped, by the groups before.
func (t *Thinner) alike() bool {
	if t.closed < alikeGroups {
		return false
	}
	shortest, longest := t.groups[0].seconds, t.groups[0].seconds
	for _, g := range t.groups {
		if g.odd || g.pictures < leastSaving*t.keep || !t.mixed && g.sets != 0 && g.sets != g.pictures {
			return false
		}
		shortest, longest = min(shortest, g.seconds), max(longest, g.seconds)
	}
	t.expected = overdueFactor * longest
	return shortest > 0 && longest <= longestGroup && shortest >= (1-alikeShare)*longest && t.medianArrival() <= longestArrival
}

func (t *Thinner) medianArrival() float64 {
	var lengths [alikeGroups]float64
	for i, g := range t.groups {
		lengths[i] = g.arrival
	}
	slices.Sort(lengths[:])
	return lengths[alikeGroups/2]
}

func (t *Thinner) passes(seen Packet) bool {
	switch p := t.picture; {
	case !t.dropping || p.number <= t.keep:
		return true
	case p.kind != unknownKind: // a camera may give those of the next key frame the stamp before
		return seen.Sets && !seen.IDR && !seen.Other
	case t.mixed || t.length() >= intraGroup:
		return seen.Sets // perhaps of the next key frame
	default: // in a stream of key frames alone, they come with each or with none
		return seen.Sets && t.groups[0].sets == 0
	}
}

package relay

import (
	"math"
	"time"
)

// A presentation time that is further than maxStep seconds off the one before is a jump;
// package liveness ignores it too.
const maxStep = 10

// maxBins is how many seconds the drift is measured over.
const maxBins = 64

// mediaClock follows the presentation times of a stream and compares them to this
// machine's clock. Times are in seconds since the first packet.
type mediaClock struct {
	rate float64 // of the presentation times, in Hz

	first, last time.Time // arrivals of the first and the newest picture
	stamp       uint32    // of the newest picture
	media       float64   // presentation time of the newest picture
	jitter      float64
	jumps       uint64

	firstKey        time.Time // arrival of the first key frame
	keyStamp        uint32
	keyArrived      time.Time // the newest key frame; before the first, the first packet
	keySeen         bool
	keyMedia        float64
	keyPicture      uint64 // number of the newest key frame
	keyDistance     float64
	keyPictures     uint64
	delays          [maxBins]float64 // the least delay of each second, on the lower envelope
	observed        [maxBins]bool
	observedFromBin int // after a jump, earlier delays no longer compare
}

// packet notes a packet and reports whether it begins a picture.
func (c *mediaClock) packet(stamp uint32, arrival time.Time) (begins bool) {
	if c.first.IsZero() {
		c.first, c.last, c.keyArrived, c.stamp = arrival, arrival, arrival, stamp
		c.note(arrival)
		return true
	}
	if stamp == c.stamp {
		return false
	}
	step := 0.0
	if c.rate > 0 {
		step = float64(int32(stamp-c.stamp)) / c.rate
	}
	passed := arrival.Sub(c.last).Seconds()
	c.stamp, c.last = stamp, arrival
	if math.Abs(step) > maxStep {
		c.jumps++
		c.observedFromBin = c.bin(arrival) + 1
		return true
	}
	c.media += step
	c.jitter += (math.Abs(passed-step) - c.jitter) / 16
	c.note(arrival)
	return true
}

func (c *mediaClock) bin(arrival time.Time) int { return int(arrival.Sub(c.first).Seconds()) }

// note keeps the least delay of each second: what arrives late is the network's doing,
// and says nothing of the clock.
func (c *mediaClock) note(arrival time.Time) {
	i := c.bin(arrival)
	if i < 0 || i >= maxBins {
		return
	}
	delay := arrival.Sub(c.first).Seconds() - c.media
	if !c.observed[i] || delay < c.delays[i] {
		c.delays[i], c.observed[i] = delay, true
	}
}

// keyFrame notes a key frame and reports whether it is a new one. picture is its number.
func (c *mediaClock) keyFrame(stamp uint32, arrival time.Time, picture uint64) bool {
	if c.keySeen && stamp == c.keyStamp {
		return false
	}
	if !c.keySeen {
		c.firstKey = arrival
	} else {
		if distance := c.media - c.keyMedia; distance > c.keyDistance {
			c.keyDistance, c.keyPictures = distance, picture-c.keyPicture
		}
	}
	c.keySeen, c.keyStamp, c.keyArrived, c.keyMedia, c.keyPicture = true, stamp, arrival, c.media, picture
	return true
}

func (c *mediaClock) span() time.Duration { return c.last.Sub(c.first) }

// leastDriftSpan is how many seconds a measurement of the drift must cover.
const leastDriftSpan = 4

// drift is the slope of the lower envelope of the delays, by least squares.
func (c *mediaClock) drift() (share float64, over time.Duration) {
	var n, sumX, sumY, sumXX, sumXY float64
	from, to := -1, -1
	for i := c.observedFromBin; i < maxBins; i++ {
		if !c.observed[i] {
			continue
		}
		if from < 0 {
			from = i
		}
		to = i
		x, y := float64(i), c.delays[i]
		n, sumX, sumY, sumXX, sumXY = n+1, sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	if n < leastDriftSpan || to-from < leastDriftSpan {
		return 0, 0
	}
	return -(n*sumXY - sumX*sumY) / (n*sumXX - sumX*sumX), time.Duration(to-from) * time.Second
}

package relay

import (
	"math"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtp"
)

// filmed is a survey of so many seconds of 10 pictures a second, whose presentation times
// run at pace and whose arrivals are late by what late returns.
func filmed(seconds, pace float64, late func(i int) time.Duration, change func(i int, p *rtp.Packet)) *Survey {
	s := &Survey{}
	s.describe(&format.H264{PayloadTyp: 96, PacketizationMode: 1})
	began := time.Now()
	for i := range int(10 * seconds) {
		at := float64(i) / 10
		p := &rtp.Packet{Header: rtp.Header{Timestamp: uint32(4_294_900_000 + uint64(at*pace*90_000)), Marker: true}}
		if change != nil {
			change(i, p)
		}
		arrival := began.Add(time.Duration(at*float64(time.Second)) + late(i))
		s.packet(p, packetInfo{begins: i%20 == 0, key: i%20 == 0}, arrival, arrival.Add(-300*time.Millisecond))
	}
	return s
}

func onTime(int) time.Duration { return 0 }

// The presentation times wrap within each film; the figures are right all the same.
func TestSurveyOfTheClock(t *testing.T) {
	uneven := func(i int) time.Duration { return time.Duration(i*7919%40) * time.Millisecond }
	for _, c := range []struct {
		name  string
		pace  float64
		late  func(int) time.Duration
		error float64
	}{
		{"right", 1, onTime, 1e-6}, {"fast", 1.03, onTime, 1e-4}, {"slow", 0.9, onTime, 1e-4},
		{"right, uneven", 1, uneven, 0.002}, {"fast, uneven", 1.03, uneven, 0.002},
		{"a burst at the start", 1, func(i int) time.Duration { return max(0, 2*time.Second-time.Duration(i)*100*time.Millisecond) }, 1e-4},
	} {
		r := filmed(12, c.pace, c.late, nil).Report()
		if math.Abs(r.ClockDrift-(c.pace-1)) > c.error || r.DriftSpan < 9*time.Second || r.ClockJumps != 0 {
			t.Errorf("%s: drift %.5f over %v, %d jumps", c.name, r.ClockDrift, r.DriftSpan, r.ClockJumps)
		}
		if distance := time.Duration(2 * c.pace * float64(time.Second)); r.KeyFramePictures != 20 || (r.KeyFrameDistance-distance).Abs() > time.Millisecond || r.KeyFrames != 6 || r.FirstKeyFrame != 0 {
			t.Errorf("%s: %d key frames %v apart, %d pictures", c.name, r.KeyFrames, r.KeyFrameDistance, r.KeyFramePictures)
		}
		if r.Pictures != 120 || r.MarkedPictures != 120 || !r.HasSenderClock || r.SenderClockBehind != 300*time.Millisecond {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

func TestSurveyOfAClockThatJumpsOrStands(t *testing.T) {
	jumps := filmed(10, 1, onTime, func(i int, p *rtp.Packet) {
		if i >= 50 {
			p.Timestamp += 90_000 * 3600
		}
	}).Report()
	if jumps.ClockJumps != 1 || math.Abs(jumps.ClockDrift) > 0.01 || jumps.Pictures != 100 {
		t.Errorf("%+v", jumps)
	}
	stands := filmed(10, 1, onTime, func(_ int, p *rtp.Packet) { p.Timestamp = 7 }).Report()
	if stands.Pictures != 1 || stands.MarkedPictures != 100 {
		t.Errorf("%+v", stands)
	}
}

// An hour of packets takes no more memory than a minute, and no figure overflows.
func TestSurveyOfALongSession(t *testing.T) {
	r := filmed(3600, 1, onTime, nil).Report()
	if r.DriftSpan > maxBins*time.Second || math.Abs(r.ClockDrift) > 1e-6 || (r.Span-3600*time.Second).Abs() > time.Second {
		t.Errorf("%+v", r)
	}
}

func TestDescribedRate(t *testing.T) {
	for text, want := range map[string]float64{
		"v=0\r\nm=video 0 RTP/AVP 96\r\na=framerate:12.5\r\n":                        12.5,
		"v=0\r\nm=audio 0 RTP/AVP 0\r\na=framerate:8000\r\nm=video 0 RTP/AVP 96\r\n": 0,
		"v=0\r\nm=video 0 RTP/AVP 96\r\na=framerate: 25\r\nm=audio 0 RTP/AVP 0\r\n":  25,
		"v=0\r\nm=video 0 RTP/AVP 96\r\na=framerate:NaN\r\n":                         0,
		"v=0\r\nm=video 0 RTP/AVP 96\r\na=framerate:1e300\r\n":                       0,
		"a=framerate:25\r\n": 0,
		"":                   0,
	} {
		if have := describedRate([]byte(text)); have != want {
			t.Errorf("%q: %g, want %g", text, have, want)
		}
	}
}

// The pictures that were not decoded still count when all are decoded again: after a lost key
// frame, the newest frame is then old, and the next one not yet out of the decoder.
func TestUndecodedPicturesCountAtTheEndOfThinning(t *testing.T) {
	s, began := &Survey{}, time.Now()
	s.describe(&format.H264{PayloadTyp: 96, PacketizationMode: 1})
	for n := range 40 {
		switch n {
		case 10, 30:
			s.thinned(n == 10)
		}
		p := &rtp.Packet{Header: rtp.Header{Timestamp: uint32(n * 9000), Marker: true}}
		s.packet(p, packetInfo{}, began.Add(time.Duration(n)*100*time.Millisecond), time.Time{})
		want := time.Time{}
		if n >= 10 {
			want = began.Add(time.Duration(min(n, 29)) * 100 * time.Millisecond)
		}
		if got := s.Undecoded(); !got.Equal(want) {
			t.Fatalf("picture %d: %v after the beginning, want %v", n, got.Sub(began), want.Sub(began))
		}
	}
}

package relay

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtp"

	"meltwatch/drivers"
)

// Survey collects what one session reveals of the camera and its stream. Its memory is
// fixed, whatever the camera sends. Its methods may be called concurrently.
type Survey struct {
	mu     sync.Mutex
	report drivers.StreamReport
	clock  mediaClock
	// undecoded is when the newest picture came while only a few were decoded.
	undecoded time.Time
}

// Report returns what is known so far.
func (s *Survey) Report() drivers.StreamReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.report
	r.Span = s.clock.span()
	r.Jitter = seconds(s.clock.jitter)
	r.ClockDrift, r.DriftSpan = s.clock.drift()
	if !s.clock.first.IsZero() {
		r.SinceKeyFrame = time.Since(s.clock.keyArrived)
	}
	if s.clock.keySeen {
		r.FirstKeyFrame = s.clock.firstKey.Sub(s.clock.first)
	}
	return r
}

func (s *Survey) update(change func(r *drivers.StreamReport)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.report)
}

// offered notes the log-ins of a challenge.
func (s *Survey) offered(offers []challenge) {
	s.update(func(r *drivers.StreamReport) {
		r.Offers = nil
		for _, offer := range offers {
			name := clip(strings.ToUpper(offer.scheme[:1]) + offer.scheme[1:])
			if offer.scheme == "digest" {
				algorithm := offer.params["algorithm"]
				if algorithm == "" {
					algorithm = "MD5" // RFC 7616, section 3.3
				}
				name += " " + clip(algorithm)
			}
			if len(r.Offers) < maxOffers {
				r.Offers = append(r.Offers, name)
			}
		}
	})
}

// maxOffers bounds the offered log-ins that are noted.
const maxOffers = 8

// describedRate is the rate that a description gives, in pictures a second; 0 without
// one. The library does not keep it.
func describedRate(body []byte) float64 {
	_, sections := cutSections(body)
	for _, section := range sections {
		if !bytes.HasPrefix(section, []byte("m=video")) {
			continue
		}
		for line := range bytes.Lines(section) {
			if text, found := bytes.CutPrefix(line, []byte("a=framerate:")); found {
				return plausibleRate(strconv.ParseFloat(strings.TrimSpace(string(text)), 64))
			}
		}
		return 0
	}
	return 0
}

// plausibleRate replaces a rate that no camera has by 0.
func plausibleRate(rate float64, err error) float64 {
	if err != nil || math.IsNaN(rate) || rate < 0.01 || rate > 1000 {
		return 0
	}
	return rate
}

func (s *Survey) describe(f format.Format) {
	s.update(func(r *drivers.StreamReport) {
		r.Described = true
		r.Codec = clip(f.Codec())
		r.Supported = rank(f) == 0
		notePicture(r, described(f))
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.rate = float64(f.ClockRate())
}

// packet notes a packet of the stream. sent is its time of day by the camera's sender
// reports, zero without one.
func (s *Survey) packet(p *rtp.Packet, seen packetInfo, arrival, sent time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.report
	r.Packets++
	if p.Marker {
		r.MarkedPictures++
	}
	notePicture(r, seen.parameters)
	if begins := s.clock.packet(p.Timestamp, arrival); begins {
		r.Pictures++
	}
	if r.Thinned {
		s.undecoded = s.clock.last
	}
	r.ClockJumps = s.clock.jumps
	if seen.key && s.clock.keyFrame(p.Timestamp, arrival, r.Pictures) {
		r.KeyFrames++
	}
	r.KeyFrameDistance, r.KeyFramePictures = seconds(s.clock.keyDistance), s.clock.keyPictures
	if !sent.IsZero() {
		r.HasSenderClock, r.SenderClockBehind = true, arrival.Round(0).Sub(sent)
	}
}

// notePicture takes over what is known of the picture.
func notePicture(r *drivers.StreamReport, p parameters) {
	if p.size != (Size{}) {
		r.Width, r.Height = p.size.Width, p.size.Height
	}
	if p.profile != "" {
		r.Profile = p.profile
	}
	if r.Announced == 0 {
		r.Announced = p.rate
	}
}

// Undecoded is when the newest picture came while only a few of each second were decoded; zero
// if all have been. It stays when all are decoded again: the newest frame is then up to two
// groups old, if a key frame was lost, and the next one still has to come out of the decoder.
func (s *Survey) Undecoded() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.undecoded
}

// thinned notes whether pictures are dropped before decoding.
func (s *Survey) thinned(now bool) {
	s.update(func(r *drivers.StreamReport) { r.Thinned = now })
}

// skipped notes a picture that is not decoded.
func (s *Survey) skipped() {
	s.update(func(r *drivers.StreamReport) { r.Skipped++ })
}

// lost notes packets that are missing.
func (s *Survey) lost(packets uint64) {
	s.update(func(r *drivers.StreamReport) { r.Lost += packets })
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

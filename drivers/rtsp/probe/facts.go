package probe

import (
	"math"
	"time"

	"meltwatch/drivers"
)

// Video describes the stream.
type Video struct {
	Codec   string `json:"codec,omitempty"`
	Profile string `json:"profile,omitempty"`
	// Width and Height are in pixels; 0 is unknown.
	Width  int `json:"width"`
	Height int `json:"height"`
	// AnnouncedRate and Rate are in pictures a second: as described, and as measured; 0 is
	// unknown.
	AnnouncedRate float64 `json:"announced_rate"`
	Rate          float64 `json:"rate"`
	// KeyFrameSeconds and KeyFramePictures are the longest distance between two key
	// frames; 0 if fewer than two came.
	KeyFrameSeconds  float64 `json:"key_frame_s"`
	KeyFramePictures uint64  `json:"key_frame_pictures"`
	// KeyFrameAtLeast is what their distance must be at least by the waits for one, in
	// seconds, where fewer than two came.
	KeyFrameAtLeast float64 `json:"key_frame_at_least_s"`
	Packets         uint64  `json:"packets"`
	Lost            uint64  `json:"lost"`
	// Thinned is true if the agent decodes only the first pictures of each second. Decoding
	// says so, or why it decodes every picture.
	Thinned  bool   `json:"thinned"`
	Decoding string `json:"decoding,omitempty"`
	// MeasuredSeconds is how long packets were measured.
	MeasuredSeconds float64 `json:"measured_s"`

	supported bool
}

// Clock describes the presentation times.
type Clock struct {
	// Plausible is true if they advance, do not jump, and keep this machine's pace within
	// maxDrift; it is absent if too few pictures came to tell.
	Plausible *bool `json:"plausible,omitempty"`
	// DriftPercent is by how much they run faster than this machine's clock, over
	// DriftSeconds; both are 0 if unknown.
	DriftPercent float64 `json:"drift_percent"`
	DriftSeconds float64 `json:"drift_s"`
	Jumps        uint64  `json:"jumps"`
	JitterMS     float64 `json:"jitter_ms"`
	// LagSeconds is from a picture's time of day, by the camera's sender reports, to its
	// arrival; absent if unknown.
	LagSeconds *float64 `json:"lag_s,omitempty"`
	// BehindSeconds is by how much the camera's time of day differs from this machine's,
	// where that is too much for a lag.
	BehindSeconds *float64 `json:"behind_s,omitempty"`
}

const (
	// maxDrift is in per cent. Crystals differ by 0.01; what exceeds 2 is not a clock's.
	maxDrift = 2
	// leastPictures is how many pictures tell of a clock.
	leastPictures = 3
	// maxLag is the longest lag of an encoder and a network; more is a wrong clock.
	maxLag = 10 * time.Second
	// leastLag may be negative by what clocks kept by NTP differ.
	leastLag = -200 * time.Millisecond
)

func videoOf(r drivers.StreamReport, s drivers.CameraSettings) Video {
	v := Video{
		Codec: r.Codec, Profile: r.Profile, Width: r.Width, Height: r.Height,
		AnnouncedRate: round(r.Announced, 3),
		Packets:       r.Packets, Lost: r.Lost, MeasuredSeconds: round(r.Span.Seconds(), 1),
		KeyFrameSeconds: round(r.KeyFrameDistance.Seconds(), 2), KeyFramePictures: r.KeyFramePictures,
		supported: r.Supported,
	}
	if r.Decoded > 0 {
		v.Decoding, _ = r.Decoding(s)
		v.Thinned = r.Thinned
	}
	if r.KeyFrames < 2 {
		v.KeyFrameAtLeast = round(max(r.FirstKeyFrame, r.SinceKeyFrame).Seconds(), 1)
	}
	if pictures := max(r.Pictures, r.MarkedPictures); pictures > 1 && r.Span > 0 {
		v.Rate = round(float64(pictures-1)/r.Span.Seconds(), 2)
	}
	return v
}

func clockOf(r drivers.StreamReport) Clock {
	c := Clock{
		Jumps: r.ClockJumps, JitterMS: round(r.Jitter.Seconds()*1000, 1),
		DriftPercent: round(100*r.ClockDrift, 3), DriftSeconds: r.DriftSpan.Seconds(),
	}
	stands := r.MarkedPictures >= 10 && r.Pictures <= 1
	if stands || r.ClockJumps > 0 || r.DriftSpan > 0 && r.Pictures >= leastPictures {
		plausible := !stands && r.ClockJumps == 0 && math.Abs(c.DriftPercent) <= maxDrift
		c.Plausible = &plausible
	}
	if r.HasSenderClock {
		behind := round(r.SenderClockBehind.Seconds(), 3)
		if r.SenderClockBehind >= leastLag && r.SenderClockBehind <= maxLag {
			c.LagSeconds = &behind
		} else {
			c.BehindSeconds = &behind
		}
	}
	return c
}

func round(value float64, digits int) float64 {
	scale := math.Pow(10, float64(digits))
	return math.Round(value*scale) / scale
}

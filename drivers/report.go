package drivers

import (
	"fmt"
	"time"
)

// StreamReport is what the child knows of the camera and its stream: the answer of
// Camera.Report. The fields after Ended describe the newest session, all others
// everything since Camera.Configure.
type StreamReport struct {
	// Attempts counts sessions that were begun.
	Attempts uint64
	// Status and Cause are those of LatestReply. Decoded counts frames.
	Status  Status
	Cause   string
	Decoded uint64
	// Ended is why the last session could not begin or was over; empty before.
	Ended string

	// Offers are the log-ins that the camera offers: "Basic", "Digest MD5". LoggedIn and
	// LoginRefused are its answers to a password.
	Offers                 []string
	LoggedIn, LoginRefused bool
	// Described is set once the camera has described a video stream.
	Described bool
	// Codec and Profile are the format's names. Supported is false for a format that is
	// left to the decoder. Announced is the described number of pictures a second; 0 is
	// unknown.
	Codec, Profile string
	Supported      bool
	Announced      float64
	// Width and Height are the picture's size in pixels; 0 is unknown.
	Width, Height int
	// Resized counts changes of that size, as LatestReply does.
	Resized uint64

	// Packets arrived, Lost is how many are missing by their numbers.
	Packets, Lost uint64
	// Skipped counts pictures that were dropped before decoding.
	Skipped uint64
	// Thinned is set while pictures are dropped so.
	Thinned bool
	// Span is the time from the first picture's arrival to the last one's.
	Span time.Duration
	// Pictures, KeyFrames and MarkedPictures count what began, at what decoding can start,
	// and what was complete by the packets' marks.
	Pictures, KeyFrames, MarkedPictures uint64
	// KeyFrameDistance and KeyFramePictures are the longest distance between two key
	// frames; 0 before the second.
	KeyFrameDistance time.Duration
	KeyFramePictures uint64
	// FirstKeyFrame is how long after the first packet the first key frame came; 0 before.
	FirstKeyFrame time.Duration
	// SinceKeyFrame is how long the newest key frame, or else the first packet, is ago.
	SinceKeyFrame time.Duration
	// Jitter is the deviation of the arrivals from the presentation times (RFC 3550,
	// section 6.4.1). ClockJumps counts presentation times more than 10 s off the one
	// before.
	Jitter     time.Duration
	ClockJumps uint64
	// ClockDrift is by which share the presentation times run faster than this machine's
	// clock, measured over DriftSpan; 0 of both is unknown.
	ClockDrift float64
	DriftSpan  time.Duration
	// HasSenderClock is set if the camera sends its time of day (RTCP sender reports).
	// SenderClockBehind is this machine's time at the arrival of the newest picture, less
	// the time of day that the camera gives it.
	HasSenderClock    bool
	SenderClockBehind time.Duration
}

// FarKeyFrames is the distance of key frames from which on every picture must be decoded.
const FarKeyFrames = 1100 * time.Millisecond

// Decoding says which pictures of the stream are decoded with these settings, and what would
// change it. known is false while too few have come to tell.
func (r StreamReport) Decoding(s CameraSettings) (text string, known bool) {
	const all = "every picture is decoded"
	switch {
	case s.Decode == DecodeAll:
		return all + ": camera.decode is all", true
	case !s.Thinnable():
		return fmt.Sprintf("%s: that takes camera.stale_after and camera.timeout of %v or more", all, LeastThinned), true
	case r.Thinned:
		return "the first pictures of each second are decoded", true
	case r.KeyFrameDistance > FarKeyFrames:
		return fmt.Sprintf("%s: key frames are %.3g s apart; one each second, set in the camera, costs less processor time", all, r.KeyFrameDistance.Seconds()), true
	default:
		return all, false
	}
}

// PictureRequest asks Camera.Picture for a part of the newest whole picture as PNG. The
// part at offset 0 takes a new picture; the others continue it.
type PictureRequest struct{ Offset int }

// PictureReply is one part. Size is that of the whole PNG in bytes, Age the picture's.
type PictureReply struct {
	PNG  []byte
	Size int
	Age  time.Duration
}

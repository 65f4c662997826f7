package drivers

import "time"

// The camera child (drivers/camera, bin/meltwatch-camera) serves these calls to
// the agent over the child protocol, under the name "Camera". Times cross the
// process boundary as ages, never as instants: an age is the same on both
// sides of a clock jump.

// Rect is a crop rectangle in pixels of the camera's own picture. The zero Rect
// means the whole picture.
type Rect struct{ X, Y, Width, Height int }

// CameraSettings are what to open and what to return. They are the argument of
// Camera.Configure; a later call with other settings reopens the stream.
type CameraSettings struct {
	// URL is rtsp://host:port/path, without credentials.
	URL string
	// Username and Password log in to the camera; neither reaches a log, an error or
	// the decoder.
	Username, Password string
	// Logins is the file that counts refused log-ins across restarts; empty keeps the
	// count in memory.
	Logins string
	// Authorities are PEM certificates that verify an rtsps camera; empty for the
	// system's.
	Authorities string
	// Transport is how RTP is carried: TransportAuto, TransportTCP or TransportUDP.
	Transport string
	// Decode is which pictures are decoded: DecodeAuto or DecodeAll.
	Decode string
	// Timeout bounds opening and each read.
	Timeout time.Duration
	// Crop is cut out of the picture before scaling.
	Crop Rect
	// Width and Height are the size of the model's input, in pixels.
	Width, Height int
	// Resize is the filter's name in the model's manifest: "area".
	Resize string
	// StaleAfter, FrozenAfter and BlackAfter are how long a fault must last to become
	// the status.
	StaleAfter, FrozenAfter, BlackAfter time.Duration
}

// The transports of RTP: interleaved with RTSP over TCP, over UDP, or over TCP where
// the camera offers it and over UDP otherwise.
const (
	TransportAuto = "auto"
	TransportTCP  = "tcp"
	TransportUDP  = "udp"
)

// Which pictures are decoded: every one, or the first ones of each group of pictures where
// the camera sends a key frame a second.
const (
	DecodeAuto = "auto"
	DecodeAll  = "all"
)

// LeastThinned is the least of CameraSettings.StaleAfter and Timeout with which pictures are
// dropped before decoding: the remaining ones are up to a second apart.
const LeastThinned = 2 * time.Second

// Thinnable reports whether the settings allow that pictures are dropped before decoding.
func (s CameraSettings) Thinnable() bool {
	return s.Decode == DecodeAuto && min(s.StaleAfter, s.Timeout) >= LeastThinned
}

// CameraVersion is the version of these calls. The agent refuses a child of
// another one.
const CameraVersion = 4

// LatestRequest asks Camera.Latest for the newest frame.
type LatestRequest struct {
	// After is the number of the last frame the caller has; the reply carries
	// pixels only if there is a newer one.
	After uint64
}

// LatestReply is the newest frame and the health of the video.
type LatestReply struct {
	Status Status
	// Cause describes the last fault, empty when Status is OK.
	Cause string
	// Refused is set if the camera was reached but refused the session. Waiting does
	// not help: a setting must be changed, here or in the camera.
	Refused bool
	// PictureWidth and PictureHeight are the size of the camera's own picture in
	// pixels; 0 before the first. Resized counts changes of size.
	PictureWidth, PictureHeight int
	Resized                     uint64
	// Number counts frames since the stream was opened; it never decreases while the
	// child runs.
	Number uint64
	// Age is how long ago the frame was taken, at the instant of the reply.
	Age time.Duration
	// Bursts is set while pictures are dropped before decoding, so that frames come in bursts
	// about a second apart.
	Bursts bool
	// Pixels is row-major RGB of Width × Height, nil when nothing is newer than
	// After.
	Pixels []byte
	// Opens, Decoded and Dropped count openings of the stream, decoded frames,
	// and frames that were replaced before they were requested. Skipped counts pictures
	// that were dropped before decoding.
	Opens, Decoded, Dropped, Skipped uint64
}

// PreviewRequest asks Camera.Preview for a picture to look at.
type PreviewRequest struct {
	// MaxWidth bounds the picture in pixels; its proportions are kept.
	MaxWidth int
	// Quality is JPEG's, 1–100.
	Quality int
}

// PreviewReply is the newest whole picture, uncropped.
type PreviewReply struct {
	JPEG []byte
	Age  time.Duration
}

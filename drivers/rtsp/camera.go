// Package rtsp reads pictures of the furnace shell from an RTSP camera, through
// OpenCV. It is meant to run in a process of its own: a blocked OpenCV read cannot be
// cancelled, and an exception in OpenCV ends the process.
//
// Only the newest frame is kept. A loop decodes frames as they arrive; a frame that is
// replaced before it was requested counts as dropped. Cropping and scaling are done on
// request.
//
// Pixels that leave the package are row-major 8-bit RGB and belong to the
// receiver. Package liveness maps the times and detects liveness.
//
// Package relay keeps the session with the camera. The decoder reads from the relay and
// never connects to the camera.
//
// A stream that ends, fails, stalls or changes its picture's size is closed and opened
// again, after waits that grow to 8 s, or after the pause that a refused log-in
// requires. The limit of a stall follows the camera's frame rate. If a call into the
// decoder does not return although its stream was closed, Run ends with ErrBlocked, and
// the process should end too.
package rtsp

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"gocv.io/x/gocv"

	"meltwatch/drivers"
	"meltwatch/drivers/liveness"
	"meltwatch/drivers/rtsp/login"
	"meltwatch/drivers/rtsp/relay"
)

// ErrBlocked means that a call into the decoder does not return; only the end of the
// process stops it.
var ErrBlocked = errors.New("the video decoder is blocked")

// Camera keeps one stream open and its newest picture available. Its methods may be
// called concurrently.
type Camera struct {
	// dial starts the session with the camera, open decodes its stream.
	dial func(context.Context, drivers.CameraSettings, *login.Ledger, func() time.Duration, *relay.Survey) (session, error)
	open func(url string) (capture, error)

	// callStarted is when the running call into the decoder began, in nanoseconds since
	// started; 0 without a call.
	started     time.Time
	callStarted atomic.Int64
	// callExtra is how long that call may exceed the camera's timeout.
	callExtra atomic.Int64
	// changed holds a token when settings were replaced.
	changed chan struct{}

	mu            sync.Mutex
	settings      drivers.CameraSettings // zero until configured
	detector      *liveness.Detector
	picture       gocv.Mat // the newest; empty before the first
	taken         time.Time
	number        uint64 // of the newest frame; counts new frames
	lastRequested uint64 // number of the last frame that was returned
	opens         uint64
	dropped       uint64
	skipped       uint64     // pictures that earlier sessions dropped before decoding
	size          relay.Size // of the camera's picture
	resized       uint64
	refused       bool          // the camera refuses the session
	session       session       // nil without one
	configuredAt  uint64        // number when these settings were set
	attempts      uint64        // at a session, with these settings
	survey        *relay.Survey // of the newest
	ended         string        // why the last session was over
	encoded       []byte        // the picture whose parts are being fetched
	encodedTaken  time.Time
}

// New makes a camera that waits for Configure. Close it after Run has ended.
func New() *Camera {
	return &Camera{
		dial:    dial,
		open:    open,
		started: time.Now(),
		changed: make(chan struct{}, 1),
		picture: gocv.NewMat(),
	}
}

// Close frees the picture.
func (c *Camera) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.picture.Close()
}

// Configure sets what to open. It returns at once; changed settings close the stream
// and discard its picture.
func (c *Camera) Configure(s drivers.CameraSettings) error {
	if err := s.Check(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == c.settings {
		return nil
	}
	c.settings = s
	c.reset()
	select {
	case c.changed <- struct{}{}:
	default: // a token is there already
	}
	return nil
}

// reset discards the state of earlier settings. The caller holds mu.
func (c *Camera) reset() {
	limits := liveness.Limits{
		StaleAfter:  c.settings.StaleAfter,
		FrozenAfter: c.settings.FrozenAfter,
		BlackAfter:  c.settings.BlackAfter,
	}
	c.detector = liveness.NewDetector(limits)
	c.taken, c.size, c.refused = time.Time{}, relay.Size{}, false
	c.configuredAt, c.encoded = c.number, nil
	c.attempts, c.ended = 0, ""
	c.begin(&relay.Survey{})
}

// status is the camera's status and its cause. The caller holds mu.
func (c *Camera) status(now time.Time) (drivers.Status, string) {
	c.detector.Undecoded(c.survey.Undecoded())
	return c.detector.Status(now)
}

// begin replaces the survey by that of another session. The caller holds mu.
func (c *Camera) begin(survey *relay.Survey) {
	if c.survey != nil {
		c.skipped += c.survey.Report().Skipped
	}
	c.survey = survey
}

// Latest returns the newest frame, if it is newer than r.After, and the camera's
// health.
func (c *Camera) Latest(r drivers.LatestRequest) (drivers.LatestReply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.detector == nil {
		return drivers.LatestReply{Status: drivers.Absent, Cause: "not configured yet"}, nil
	}
	now := time.Now()
	stream := c.survey.Report()
	reply := drivers.LatestReply{
		Number:  c.number,
		Opens:   c.opens,
		Decoded: c.number,
		Dropped: c.dropped,
		Skipped: c.skipped + stream.Skipped,
		Refused: c.refused,
		Resized: c.resized,
		Bursts:  stream.Thinned,

		PictureWidth: c.size.Width, PictureHeight: c.size.Height,
	}
	reply.Status, reply.Cause = c.status(now)
	if c.taken.IsZero() {
		return reply, nil
	}
	reply.Age = now.Sub(c.taken)
	if c.number <= r.After {
		return reply, nil
	}
	var err error
	reply.Pixels, err = forModel(c.picture, c.settings)
	c.lastRequested = c.number
	return reply, err
}

// Preview returns the newest whole picture as JPEG of at most 512 KiB.
func (c *Camera) Preview(r drivers.PreviewRequest) (drivers.PreviewReply, error) {
	picture := gocv.NewMat()
	defer free(picture)
	taken, err := c.copyNewest(&picture)
	if err != nil {
		return drivers.PreviewReply{}, err
	}
	jpeg, err := preview(picture, r)
	return drivers.PreviewReply{JPEG: jpeg, Age: time.Since(taken)}, err
}

// copyNewest copies the picture, so that encoding does not block the stream.
func (c *Camera) copyNewest(into *gocv.Mat) (taken time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken.IsZero() {
		return time.Time{}, errors.New("no picture yet")
	}
	c.picture.CopyTo(into)
	return c.taken, nil
}

// Package rtsp reads pictures of the furnace shell from an RTSP camera, through
// OpenCV. It is meant to run in a process of its own: a read that OpenCV does not
// come back from cannot be cancelled, and an exception in it ends the process.
//
// The newest frame wins. A loop decodes as fast as frames come, and keeps one
// picture; a frame that nobody asked for before the next is counted as dropped.
// Cropping and scaling are done when somebody asks.
//
// Pixels that leave the package are row-major 8-bit RGB and belong to the
// receiver. Times are mapped and liveness is judged by package liveness.
//
// Package relay keeps the session with the camera; the decoder reads from it and
// never meets the camera itself.
//
// A stream that ends, fails, changes its picture's size or stands still is closed
// and opened again, after waits that grow to 8 s, or as long as a refused account
// must rest. What standing still means follows the camera's own rate. A call into
// the decoder that does not end although its stream was closed ends Run with
// ErrBlocked, and the process should end with it.
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

// ErrBlocked is why Run gives up: the decoder does not come back, and only the
// end of the process gets rid of it.
var ErrBlocked = errors.New("the video decoder is blocked")

// Camera keeps one stream open and the newest picture at hand. Its methods may
// be called concurrently.
type Camera struct {
	// dial begins the session with the camera, open decodes what it brings.
	dial func(context.Context, drivers.CameraSettings, *login.Ledger, func() time.Duration) (session, error)
	open func(url string) (capture, error)

	// called is when the decoder was called, in nanoseconds since born; 0 while
	// it is not.
	started     time.Time
	callStarted atomic.Int64
	// callExtra is what that call may take beyond the camera's timeout.
	callExtra atomic.Int64
	// changed holds a token when settings were replaced.
	changed chan struct{}

	mu            sync.Mutex
	settings      drivers.CameraSettings // zero until configured
	detector      *liveness.Detector
	picture       gocv.Mat // the newest; empty until there is one
	taken         time.Time
	number        uint64 // of the newest frame: how many were decoded that were new
	lastRequested uint64 // number of the last frame that somebody was given
	opens         uint64
	dropped       uint64
	size          relay.Size // of the camera's picture
	resized       uint64
	refused       bool    // the camera refuses what it is asked
	session       session // of the moment, nil without one
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

// Configure says what to open. It returns at once; other settings than the last
// close the stream and forget its picture.
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

// reset drops what was seen under earlier settings. The caller holds mu.
func (c *Camera) reset() {
	limits := liveness.Limits{
		StaleAfter:  c.settings.StaleAfter,
		FrozenAfter: c.settings.FrozenAfter,
		BlackAfter:  c.settings.BlackAfter,
	}
	c.detector = liveness.NewDetector(limits)
	c.taken, c.size, c.refused = time.Time{}, relay.Size{}, false
}

// Latest is the newest frame, if it is newer than after, and the camera's
// health.
func (c *Camera) Latest(r drivers.LatestRequest) (drivers.LatestReply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.detector == nil {
		return drivers.LatestReply{Status: drivers.Absent, Cause: "not configured yet"}, nil
	}
	now := time.Now()
	reply := drivers.LatestReply{
		Number:  c.number,
		Opens:   c.opens,
		Decoded: c.number,
		Dropped: c.dropped,
		Refused: c.refused,
		Resized: c.resized,

		PictureWidth: c.size.Width, PictureHeight: c.size.Height,
	}
	reply.Status, reply.Cause = c.detector.Status(now)
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

// Preview is the newest whole picture for people, as JPEG of at most 512 KiB.
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

// copyNewest copies rather than lends, so that encoding holds nobody up.
func (c *Camera) copyNewest(into *gocv.Mat) (taken time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken.IsZero() {
		return time.Time{}, errors.New("preview: no picture yet")
	}
	c.picture.CopyTo(into)
	return c.taken, nil
}

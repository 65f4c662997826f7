// Package camera is the client of the camera child. It starts the child, sends it the
// stream's settings, and fetches the newest frame several times a second, and when it is
// asked for. If the child dies or hangs, only the video is lost.
package camera

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"meltwatch/child"
	"meltwatch/drivers"
)

// Observer receives the child's status.
type Observer interface {
	Beat()
	OK()
	Fault(error)
	Count(map[string]uint64)
}

// Client holds the newest frame. It is safe for concurrent use.
type Client struct {
	program  string
	settings drivers.CameraSettings
	read     func() (drivers.CameraSettings, error)
	log      *slog.Logger
	observer Observer

	// pid is that of the running child, 0 without one; process is the running child, or
	// nil.
	pid     atomic.Int64
	process atomic.Pointer[child.Process]

	mu     sync.Mutex
	frame  drivers.Frame
	status drivers.Status
	cause  string
	starts uint64
	opened opening
	stream uint64 // number of openings that gave a frame
	size   size   // of the camera's picture before scaling
	// answered is closed once the child has answered the next request; nil if nobody
	// waits for it.
	answered chan struct{}
	refresh  chan struct{} // holds an element while a request is wanted
}

type size struct{ width, height int }

// Refusal is the fault of a camera that was reached but refused the session. Waiting
// does not cure it.
type Refusal struct{ Cause string }

func (r Refusal) Error() string { return r.Cause }

// opening is one opening of the stream by one child.
type opening struct{ start, open uint64 }

const (
	// every is the interval of the requests to the child. A frame is at most this much
	// older than the newest one when a second is decided.
	every = 200 * time.Millisecond
	// unansweredLimit bounds one request. Until it expires the sense keeps its last
	// status, so it is part of the three seconds in which a fault is reported.
	unansweredLimit = time.Second
	// tolerated is the number of failed requests in a row after which the child is
	// replaced.
	tolerated = 3
	// reread is the interval at which the settings' files are read while there is no
	// live picture, so that a corrected password is used at once. A live stream is not
	// interrupted.
	reread = 2 * time.Second
)

// New returns a client that runs program as the child. read loads the settings again
// from files that may have changed.
func New(program string, settings drivers.CameraSettings, read func() (drivers.CameraSettings, error), log *slog.Logger, observer Observer) *Client {
	return &Client{program: program, settings: settings, read: read, log: log, observer: observer, status: drivers.Absent, cause: "not opened yet", refresh: make(chan struct{}, 1)}
}

// Newest returns the newest frame and the status of the sense. The frame's Number is 0
// before the first.
func (c *Client) Newest() (drivers.Frame, drivers.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frame, c.status
}

// Refresh makes the client ask the child for a newer frame at once. The channel is closed
// when the child has answered.
func (c *Client) Refresh() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answered == nil {
		c.answered = make(chan struct{})
	}
	select {
	case c.refresh <- struct{}{}:
	default:
	}
	return c.answered
}

// asking returns the function that ends the wait of those who have asked so far.
func (c *Client) asking() (answer func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := c.answered
	c.answered = nil
	select {
	case <-c.refresh: // this request serves it
	default:
	}
	return func() {
		if waiting != nil {
			close(waiting)
		}
	}
}

// Cause describes the current fault; it is empty without one.
func (c *Client) Cause() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// Run starts the child and uses it until it dies, does not answer, or ctx ends.
func (c *Client) Run(ctx context.Context) error {
	err := c.live(ctx)
	if err != nil && ctx.Err() == nil {
		c.lose(err)
	}
	return err
}

// lose records that no child delivers frames.
func (c *Client) lose(err error) {
	c.observer.Fault(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status, c.cause = drivers.Absent, err.Error()
}

func (c *Client) live(ctx context.Context) error {
	c.observer.Beat()
	p, err := child.Start(ctx, child.Spec{
		Service: "Camera", Version: drivers.CameraVersion, Program: c.program, Log: c.log,
	})
	if err != nil {
		return err
	}
	defer p.Close()
	c.pid.Store(int64(p.PID()))
	defer c.pid.Store(0)
	c.process.Store(p)
	defer c.process.Store(nil)
	c.mu.Lock()
	c.starts++
	c.mu.Unlock()
	if err := c.configure(ctx, p); err != nil {
		return err
	}
	return c.watch(ctx, p)
}

func (c *Client) configure(ctx context.Context, p *child.Process) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := child.Call[struct{}](ctx, p, "Camera.Configure", c.settings)
	return err
}

func (c *Client) watch(ctx context.Context, p *child.Process) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var after uint64
	failed := 0
	looked := time.Now()
	for {
		c.observer.Beat()
		answer := c.asking()
		latest, err := c.ask(ctx, p, after)
		switch {
		case err == nil:
			failed, after = 0, latest.Number
			c.take(latest)
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			failed++
			c.lose(err)
		}
		answer()
		if err == nil && !latest.Status.Live() && time.Since(looked) >= reread {
			looked = time.Now()
			if err := c.resubmit(ctx, p); err != nil {
				return err
			}
		}
		if failed >= tolerated {
			return fmt.Errorf("camera child left %d requests in a row unanswered and is replaced: %w", failed, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.Done():
			return p.Err()
		case <-ticker.C:
		case <-c.refresh:
			ticker.Reset(every)
		}
	}
}

// resubmit sends the settings to the child if their files have changed.
func (c *Client) resubmit(ctx context.Context, p *child.Process) error {
	settings, err := c.read()
	if err != nil {
		c.log.Warn("camera settings not reread, keeping the last ones", "err", err)
		return nil
	}
	if settings == c.settings {
		return nil
	}
	c.log.Info("camera settings reread")
	c.settings = settings
	return c.configure(ctx, p)
}

// PictureSize is the size of the camera's picture in pixels before scaling; 0 before
// the first.
func (c *Client) PictureSize() (width, height int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size.width, c.size.height
}

// measure logs a change of the picture's size, because a crop in pixels then covers
// another area.
func (c *Client) measure(latest drivers.LatestReply) {
	now := size{latest.PictureWidth, latest.PictureHeight}
	c.mu.Lock()
	before := c.size
	if now != (size{}) {
		c.size = now
	}
	c.mu.Unlock()
	if now != (size{}) && before != (size{}) && now != before {
		c.log.Warn("camera picture size changed, check camera.crop",
			"width_before", before.width, "height_before", before.height, "width", now.width, "height", now.height)
	}
}

func (c *Client) ask(ctx context.Context, p *child.Process, after uint64) (drivers.LatestReply, error) {
	ctx, cancel := context.WithTimeout(ctx, unansweredLimit)
	defer cancel()
	return child.Call[drivers.LatestReply](ctx, p, "Camera.Latest", drivers.LatestRequest{After: after})
}

func (c *Client) take(latest drivers.LatestReply) {
	c.measure(latest)
	c.mu.Lock()
	c.status, c.cause = latest.Status, latest.Cause
	want := 3 * c.settings.Width * c.settings.Height
	if len(latest.Pixels) == want {
		if now := (opening{c.starts, latest.Opens}); now != c.opened {
			c.opened = now
			c.stream++
		}
		// The child sends the frame's age, not its time: an age stays correct across a
		// clock jump.
		c.frame = drivers.Frame{
			Time: time.Now().Add(-latest.Age), Number: latest.Number, Stream: c.stream, Burst: latest.Bursts,
			Width: c.settings.Width, Height: c.settings.Height, Pixels: latest.Pixels,
		}
	}
	counters := map[string]uint64{"starts": c.starts, "opens": latest.Opens, "decoded": latest.Decoded, "dropped": latest.Dropped, "skipped": latest.Skipped,
		"width": uint64(c.size.width), "height": uint64(c.size.height), "resized": latest.Resized}
	c.mu.Unlock()
	c.observer.Count(counters)
	if latest.Status.Live() {
		c.observer.OK()
		return
	}
	cause := cmp.Or(latest.Cause, "picture is "+string(latest.Status))
	if latest.Refused {
		c.observer.Fault(Refusal{cause})
		return
	}
	c.observer.Fault(errors.New(cause))
}

// Package camera is the agent's end of the camera child: it starts the child, tells
// it which stream to open, and fetches the newest frame several times a second. A
// child that dies or hangs costs only the picture.
package camera

import (
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

	// pid is the living child's, 0 without one; process is it, nil likewise.
	pid     atomic.Int64
	process atomic.Pointer[child.Process]

	mu     sync.Mutex
	frame  drivers.Frame
	status drivers.Status
	cause  string
	starts uint64
	opened opening
	stream uint64 // openings that gave a frame
	size   size   // of the camera's own picture
}

type size struct{ width, height int }

// Refusal is a fault that waiting does not cure: the camera was reached but refused.
type Refusal struct{ Cause string }

func (r Refusal) Error() string { return r.Cause }

// opening is one opening of the stream by one child.
type opening struct{ start, open uint64 }

const (
	// every is how often the child is asked; a frame is at most this much older
	// than the newest one when a second is decided.
	every = 200 * time.Millisecond
	// unansweredLimit bounds one question. Until it runs out the sense keeps its last
	// status, so it counts against the three seconds in which a fault is named.
	unansweredLimit = time.Second
	// tolerated is how many questions in a row may fail before the child is
	// replaced.
	tolerated = 3
	// reread is how often the settings' files are looked at while the camera gives no
	// live picture: a corrected password is tried at once. A live stream is left
	// alone.
	reread = 2 * time.Second
)

// New returns a client that will run program and have it open the stream. read loads
// the settings again from files that may have changed.
func New(program string, settings drivers.CameraSettings, read func() (drivers.CameraSettings, error), log *slog.Logger, observer Observer) *Client {
	return &Client{program: program, settings: settings, read: read, log: log, observer: observer, status: drivers.Absent, cause: "not opened yet"}
}

// Newest returns the newest frame and whether the sense can be believed. The
// frame's Number is 0 before the first.
func (c *Client) Newest() (drivers.Frame, drivers.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frame, c.status
}

// Cause is the last fault in words; empty while all is well.
func (c *Client) Cause() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// Run is one life of the child: it returns when the child has died, or was
// replaced because it does not answer, or ctx ended.
func (c *Client) Run(ctx context.Context) error {
	err := c.live(ctx)
	if err != nil && ctx.Err() == nil {
		c.lose(err)
	}
	return err
}

// lose notes that there is no child that could see.
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
		if err == nil && !latest.Status.Live() && time.Since(looked) >= reread {
			looked = time.Now()
			if err := c.resubmit(ctx, p); err != nil {
				return err
			}
		}
		if failed >= tolerated {
			return fmt.Errorf("camera child gave no answer %d times in a row, replaced: %w", failed, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.Done():
			return p.Err()
		case <-ticker.C:
		}
	}
}

// resubmit sends the child its settings if their files have changed.
func (c *Client) resubmit(ctx context.Context, p *child.Process) error {
	settings, err := c.read()
	if err != nil {
		c.log.Warn("camera settings could not be reread, keeping the last ones", "err", err)
		return nil
	}
	if settings == c.settings {
		return nil
	}
	c.log.Info("camera settings reread")
	c.settings = settings
	return c.configure(ctx, p)
}

// PictureSize is the size of the camera's own picture in pixels; 0 before the first.
func (c *Client) PictureSize() (width, height int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size.width, c.size.height
}

// measure logs a change of the picture's size: a crop in pixels then shows something
// else.
func (c *Client) measure(latest drivers.LatestReply) {
	now := size{latest.PictureWidth, latest.PictureHeight}
	c.mu.Lock()
	before := c.size
	if now != (size{}) {
		c.size = now
	}
	c.mu.Unlock()
	if now != (size{}) && before != (size{}) && now != before {
		c.log.Warn("camera picture size changed; check camera.crop",
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
		// The age crossed the process boundary, not the instant: it is true on
		// both sides of a clock jump.
		c.frame = drivers.Frame{
			Time: time.Now().Add(-latest.Age), Number: latest.Number, Stream: c.stream,
			Width: c.settings.Width, Height: c.settings.Height, Pixels: latest.Pixels,
		}
	}
	counters := map[string]uint64{"starts": c.starts, "opens": latest.Opens, "decoded": latest.Decoded, "dropped": latest.Dropped,
		"width": uint64(c.size.width), "height": uint64(c.size.height), "resized": latest.Resized}
	c.mu.Unlock()
	c.observer.Count(counters)
	if latest.Status.Live() {
		c.observer.OK()
		return
	}
	cause := orElse(latest.Cause, "picture is "+string(latest.Status))
	if latest.Refused {
		c.observer.Fault(Refusal{cause})
		return
	}
	c.observer.Fault(errors.New(cause))
}

func orElse(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}

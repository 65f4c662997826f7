package rtsp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"gocv.io/x/gocv"

	"meltwatch/drivers"
	"meltwatch/retry"
)

const (
	// repeatWait follows a frame that was handed out before, so that a decoder
	// with nothing to give is not asked in a tight loop.
	repeatWait = 10 * time.Millisecond
	// watchEvery is how often a call into the decoder is looked at.
	watchEvery = 100 * time.Millisecond
)

// Run keeps the stream open until ctx ends, and then returns nil. It returns
// ErrBlocked when the decoder does not come back; the goroutine that called it
// is then lost.
func (c *Camera) Run(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.keep(ctx)
	}()
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-watch.C:
			if busy, limit := c.inCall(), c.limit(); busy > limit {
				return fmt.Errorf("%w: no answer for %v", ErrBlocked, busy.Round(watchEvery))
			}
		}
	}
}

func (c *Camera) inCall() time.Duration {
	called := c.called.Load()
	if called == 0 {
		return 0
	}
	return time.Since(c.born) - time.Duration(called)
}

func (c *Camera) limit() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return blocked(c.settings)
}

// calling marks a call into the decoder for the time it takes.
func (c *Camera) calling(call func()) {
	c.called.Store(int64(max(time.Since(c.born), 1)))
	call()
	c.called.Store(0)
}

// keep opens and reads the stream over and over, with the settings of the day.
func (c *Camera) keep(ctx context.Context) {
	spare := gocv.NewMat()
	defer func() { free(spare) }() // whichever is the spare by then
	for try := 0; ctx.Err() == nil; try++ {
		c.mu.Lock()
		settings := c.settings
		c.mu.Unlock()
		if settings == (drivers.CameraSettings{}) {
			c.pause(ctx, retry.Longest)
			continue
		}
		before := c.count()
		c.watchStream(ctx, settings, &spare)
		if c.count() > before {
			try = 0
		}
		c.pause(ctx, retry.Wait(try))
	}
}

// pause waits, but not past new settings.
func (c *Camera) pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.changed:
	case <-ctx.Done():
	}
}

// watchStream opens the stream and takes its frames until it fails, or until
// other settings are wanted.
func (c *Camera) watchStream(ctx context.Context, s drivers.CameraSettings, spare *gocv.Mat) {
	if err := c.reach(ctx, s); err != nil {
		c.judged(s, func() { c.judge.Absent(err.Error()) })
		return
	}
	var stream capture
	var err error
	c.calling(func() { stream, err = c.open(s) })
	if err != nil {
		c.judged(s, func() { c.judge.Closed(err.Error()) })
		return
	}
	defer func() { c.calling(stream.close) }()
	c.judged(s, func() {
		c.opens++
		c.judge.Opened()
	})
	if err := c.frames(ctx, s, stream, spare); err != nil {
		c.judged(s, func() { c.judge.Closed(err.Error()) })
	}
}

// frames takes frames until ctx ends or settings change (nil), or the stream
// fails.
func (c *Camera) frames(ctx context.Context, s drivers.CameraSettings, stream capture, spare *gocv.Mat) error {
	advanced := time.Now()
	for ctx.Err() == nil && c.current(s) {
		var presentation time.Duration
		var ok bool
		c.calling(func() { presentation, ok = stream.read(spare) })
		if !ok {
			return errors.New("the stream ended")
		}
		arrival := time.Now()
		isNew, err := c.accept(s, presentation, arrival, spare)
		switch {
		case err != nil:
			return err
		case isNew:
			advanced = arrival
		case arrival.Sub(advanced) > s.Timeout:
			return fmt.Errorf("no new frame for %v", s.Timeout)
		default:
			c.pause(ctx, repeatWait)
		}
	}
	return nil
}

// accept makes the spare picture the newest one, and the newest the spare, if
// the frame is a new one.
func (c *Camera) accept(s drivers.CameraSettings, presentation time.Duration, arrival time.Time, spare *gocv.Mat) (bool, error) {
	if err := decoded(*spare, s); err != nil {
		return false, err
	}
	small, err := glance(*spare)
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s != c.settings {
		return false, nil
	}
	taken, isNew := c.judge.Frame(presentation, arrival, small)
	if !isNew {
		return false, nil
	}
	if c.number > c.asked {
		c.dropped++
	}
	c.picture, *spare = *spare, c.picture
	c.taken = taken
	c.number++
	return true, nil
}

// judged tells the judge something about the stream of these settings, unless
// others have come since.
func (c *Camera) judged(s drivers.CameraSettings, tell func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == c.settings {
		tell()
	}
}

func (c *Camera) current(s drivers.CameraSettings) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return s == c.settings
}

func (c *Camera) count() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.number
}

// reach connects to the camera and hangs up. The decoder's own attempt would
// take longer, and its failure would not tell a camera that is gone from one
// that refuses.
func reach(ctx context.Context, s drivers.CameraSettings) error {
	host, port, err := hostPort(s)
	if err != nil {
		return err
	}
	dialer := net.Dialer{Timeout: s.Timeout}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("camera at %s port %s refuses connections", host, port)
	case err != nil:
		return fmt.Errorf("reach camera: %w", err)
	}
	return conn.Close()
}

package rtsp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gocv.io/x/gocv"

	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/login"
	"meltwatch/drivers/rtsp/relay"
	"meltwatch/retry"
	"meltwatch/tick"
)

const (
	// repeatPause follows a repeated frame, so that a decoder without new frames is not
	// polled in a tight loop.
	repeatPause = 10 * time.Millisecond
	// watchEvery is how often the duration of a call into the decoder is checked.
	watchEvery = 100 * time.Millisecond
	// sessionGrace lets the session report a silent camera before the decoder's call
	// counts as too long.
	sessionGrace = time.Second
	// keyFrameNotice is how long a key frame may take before the status reports the
	// wait.
	keyFrameNotice = 2 * time.Second
	// openExtra is how long the decoder may take to analyse a stream; it needs several
	// pictures of a slow camera.
	openExtra = 10 * time.Second
	// abandonAfter is how long a call into the decoder may overrun its limit before
	// Run gives up: closing the stream should have ended the call.
	abandonAfter = 5 * time.Second
)

// Run keeps the stream open until ctx ends, and then returns nil. It returns ErrBlocked
// if a call into the decoder does not return; the calling goroutine is then lost.
func (c *Camera) Run(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.keepOpen(ctx)
	}()
	watch := tick.New(watchEvery) // at the instants of the stream's watch
	defer watch.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-watch.C:
			watch.Next()
			if busy, limit := c.callDuration(), c.timeout()+sessionGrace+time.Duration(c.callExtra.Load()); busy > limit+abandonAfter {
				return fmt.Errorf("%w: no answer for %v", ErrBlocked, busy.Round(watchEvery))
			} else if busy > limit {
				c.interrupt(limit)
			}
		}
	}
}

func (c *Camera) callDuration() time.Duration {
	called := c.callStarted.Load()
	if called == 0 {
		return 0
	}
	return time.Since(c.started) - time.Duration(called)
}

// timeout is how long the camera's next picture may take.
func (c *Camera) timeout() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.detector == nil {
		return c.settings.Timeout
	}
	return c.detector.Timeout(c.settings.Timeout)
}

// interrupt ends the session of a decoder that delivers no picture.
func (c *Camera) interrupt(limit time.Duration) {
	c.mu.Lock()
	session := c.session
	c.mu.Unlock()
	if session != nil {
		session.End(fmt.Errorf("no picture could be decoded for %v", limit))
	}
}

// timeCall records a call into the decoder while it runs; it may exceed the camera's
// timeout by extra.
func (c *Camera) timeCall(extra time.Duration, call func()) {
	c.callExtra.Store(int64(extra))
	c.callStarted.Store(int64(max(time.Since(c.started), 1)))
	call()
	c.callStarted.Store(0)
}

// keepOpen opens and reads the stream again and again, with the current settings.
func (c *Camera) keepOpen(ctx context.Context) {
	spare := gocv.NewMat()
	defer func() { free(spare) }() // accept swaps it
	logins := login.Open("")
	openedPath := ""
	for try := 0; ctx.Err() == nil; try++ {
		c.mu.Lock()
		settings := c.settings
		c.mu.Unlock()
		if settings == (drivers.CameraSettings{}) {
			c.pause(ctx, retry.MaxWait)
			continue
		}
		if settings.Logins != openedPath {
			openedPath, logins = settings.Logins, login.Open(settings.Logins)
		}
		before := c.count()
		c.watchStream(ctx, settings, logins, &spare)
		if c.count() > before {
			try = 0
		}
		c.pause(ctx, retry.Wait(try))
	}
}

// pause waits until new settings at the latest.
func (c *Camera) pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.changed:
	case <-ctx.Done():
	}
}

// watchStream opens the stream and reads its frames until it fails or the settings
// change.
func (c *Camera) watchStream(ctx context.Context, s drivers.CameraSettings, logins *login.Ledger, spare *gocv.Mat) {
	survey := &relay.Survey{}
	c.update(s, func() {
		c.attempts++
		c.begin(survey)
	})
	session, err := c.dial(ctx, s, logins, c.timeout, survey)
	if err != nil {
		c.failed(s, err)
		return
	}
	defer session.Close()
	c.setSession(session)
	defer c.setSession(nil)
	err = c.decode(ctx, s, session, spare)
	if cause := session.Err(); cause != nil {
		err = cause // the decoder only noticed the end
	}
	if err != nil {
		c.failed(s, err)
	}
}

func (c *Camera) setSession(one session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = one
}

// failed records why there is no stream.
func (c *Camera) failed(s drivers.CameraSettings, err error) {
	c.update(s, func() {
		var unreachable relay.Unreachable
		c.refused = errors.As(err, &relay.Refusal{})
		c.ended = err.Error()
		if errors.As(err, &unreachable) {
			c.detector.Absent(err.Error())
			return
		}
		c.detector.Closed(err.Error())
	})
}

// decode reads the session's frames until ctx ends or the settings change (nil), or the
// stream fails.
func (c *Camera) decode(ctx context.Context, s drivers.CameraSettings, session session, spare *gocv.Mat) error {
	if err := c.awaitKeyFrame(ctx, s, session); err != nil || ctx.Err() != nil || !c.current(s) {
		return err
	}
	if err := c.recordSize(s, session.Size()); err != nil {
		return err
	}
	var stream capture
	var err error
	c.timeCall(openExtra, func() { stream, err = c.open(session.URL()) })
	if err != nil {
		return err
	}
	defer func() { c.timeCall(0, stream.close) }()
	c.update(s, func() {
		c.opens++
		c.detector.Opened()
	})
	return c.frames(ctx, s, stream, spare)
}

// awaitKeyFrame waits for a picture at which decoding can start, while packets arrive,
// and reports the wait.
func (c *Camera) awaitKeyFrame(ctx context.Context, s drivers.CameraSettings, session session) error {
	for start := time.Now(); ctx.Err() == nil && c.current(s); {
		ready, err := session.Ready(ctx, keyFrameNotice)
		if ready || err != nil && ctx.Err() == nil {
			return err
		}
		c.update(s, func() {
			c.detector.Closed(fmt.Sprintf("the camera sends, but no key frame has come for %v; set a shorter key-frame (I-frame) interval in the camera",
				time.Since(start).Round(time.Second)))
		})
	}
	return nil
}

// recordSize records the picture's size, and refuses one that the crop does not fit.
func (c *Camera) recordSize(s drivers.CameraSettings, size relay.Size) error {
	if size == (relay.Size{}) {
		return nil
	}
	c.update(s, func() {
		if c.size != (relay.Size{}) && c.size != size {
			c.resized++
		}
		c.size = size
	})
	if _, err := cropWithin(s.Crop, size.Width, size.Height); err != nil {
		return relay.Refuse(err)
	}
	return nil
}

// frames reads frames until ctx ends or the settings change (nil), or the stream fails.
func (c *Camera) frames(ctx context.Context, s drivers.CameraSettings, stream capture, spare *gocv.Mat) error {
	advanced := time.Now()
	for ctx.Err() == nil && c.current(s) {
		var presentation time.Duration
		var ok bool
		c.timeCall(0, func() { presentation, ok = stream.read(spare) })
		if !ok {
			return errors.New("the stream ended")
		}
		arrival := time.Now()
		isNew, err := c.accept(s, presentation, arrival, spare)
		switch limit := c.timeout(); {
		case err != nil:
			return err
		case isNew:
			advanced = arrival
		case arrival.Sub(advanced) > limit:
			return fmt.Errorf("no new frame for %v", limit)
		default:
			c.pause(ctx, repeatPause)
		}
	}
	return nil
}

// accept swaps the spare picture and the newest one if the frame is new.
func (c *Camera) accept(s drivers.CameraSettings, presentation time.Duration, arrival time.Time, spare *gocv.Mat) (bool, error) {
	if err := checkDecoded(*spare); err != nil {
		return false, err
	}
	if err := c.recordSize(s, relay.Size{Width: spare.Cols(), Height: spare.Rows()}); err != nil {
		return false, err
	}
	small, err := thumbnail(*spare)
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s != c.settings {
		return false, nil
	}
	taken, isNew := c.detector.Frame(presentation, arrival, small)
	if !isNew {
		return false, nil
	}
	if c.number > c.lastRequested {
		c.dropped++
	}
	c.picture, *spare = *spare, c.picture
	c.taken = taken
	c.number++
	c.refused = false
	return true, nil
}

// update changes the state of the stream with these settings, unless they have been
// replaced.
func (c *Camera) update(s drivers.CameraSettings, change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == c.settings {
		change()
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

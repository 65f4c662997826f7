package serve

import (
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"meltwatch/simulator/furnace"
	"meltwatch/simulator/scene"
)

const (
	frameTime = time.Second / fps
	// clockRate is the rate of RTP time stamps of video (RFC 6184, §8.2.1).
	clockRate = 90000
	// encoderSlack is how many pictures may be inside the encoder. It holds one;
	// the rest is for a busy machine.
	encoderSlack = 8
	// restartWait is the pause before a dead encoder is restarted.
	restartWait = time.Second
)

// camera draws the furnace 25 times a second, encodes the pictures and sends them. It
// skips and counts frames that a busy machine cannot draw in time; the time stamps of the
// others stay exact.
type camera struct {
	furnace *clockedFurnace
	delay   time.Duration
	scene   *scene.Scene
	server  *rtspServer
	log     *slog.Logger
	skipped atomic.Uint64

	mu    sync.Mutex
	fault CameraFault

	picture *image.YCbCr // the last one drawn
	black   *image.YCbCr
	drawn   bool
	next    int64 // number of the next frame since the start
}

func newCamera(m *clockedFurnace, delay time.Duration, s *scene.Scene, st *rtspServer, log *slog.Logger) *camera {
	c := &camera{furnace: m, delay: delay, scene: s, server: st, log: log, fault: CameraFine}
	whole := image.Rect(0, 0, scene.Width, scene.Height)
	c.picture = image.NewYCbCr(whole, image.YCbCrSubsampleRatio420)
	c.black = image.NewYCbCr(whole, image.YCbCrSubsampleRatio420)
	for i := range c.black.Cb {
		c.black.Cb[i], c.black.Cr[i] = 128, 128
	}
	return c
}

// run films until ctx ends. It restarts an encoder that ends, except one that never
// delivered a picture: a restart cannot repair that.
func (c *camera) run(ctx context.Context) error {
	for {
		err := c.film(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // ctx has ended
		}
		if !c.server.opened() {
			return err
		}
		if !pause(ctx.Done(), restartWait) {
			return nil
		}
		c.log.Warn("video encoder ended, restarting", "err", err)
	}
}

// film runs one encoder.
func (c *camera) film(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	e, err := startEncoder(ctx)
	if err != nil {
		return err
	}
	stamps := make(chan uint32, encoderSlack)
	group.Go(func() error { return c.shoot(ctx, e, stamps) })
	group.Go(func() error { return c.send(ctx, e, stamps) })
	err = group.Wait()
	return errors.Join(err, e.close())
}

// shoot draws each frame when it is due and passes it to the encoder.
func (c *camera) shoot(ctx context.Context, e *encoder, stamps chan<- uint32) error {
	for {
		if err := c.await(ctx); err != nil {
			return err
		}
		picture := c.frame()
		if picture == nil {
			continue
		}
		select {
		case stamps <- uint32((c.next - 1) * clockRate / fps):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := e.write(picture); err != nil {
			return err
		}
	}
}

// await waits for the next frame's time and skips late frames.
func (c *camera) await(ctx context.Context) error {
	now := int64(time.Since(c.furnace.start) / frameTime)
	if late := now - c.next; late > 0 {
		if c.drawn {
			c.skipped.Add(uint64(late))
		}
		c.next = now
	}
	due := c.furnace.start.Add(time.Duration(c.next) * frameTime)
	c.next++
	if !pause(ctx.Done(), time.Until(due)) {
		return ctx.Err()
	}
	return nil
}

// frame returns the picture to send now, nil for none. The camera keeps ownership.
func (c *camera) frame() *image.YCbCr {
	state := c.furnace.at(c.delay)
	fault := c.current()
	if !c.drawn { // the encoder needs one picture to describe its stream
		return c.draw(state)
	}
	switch {
	case fault == CameraAbsent, fault == CameraStale, state.Faults.CameraGap:
		return nil
	case fault == CameraBlack:
		return c.black
	case fault == CameraFrozen, state.Faults.CameraFrozen:
		return c.picture
	}
	return c.draw(state)
}

func (c *camera) draw(state furnace.State) *image.YCbCr {
	c.scene.Full(state, c.picture)
	c.drawn = true
	return c.picture
}

// send passes the encoder's output on to the viewers.
func (c *camera) send(ctx context.Context, e *encoder, stamps <-chan uint32) error {
	for {
		picture, err := e.read()
		if err != nil {
			return fmt.Errorf("read coded picture: %w", err)
		}
		if picture.units == nil {
			if err := c.server.open(picture.sps, picture.pps); err != nil {
				return err
			}
			continue
		}
		select {
		case stamp := <-stamps:
			if err := c.server.send(picture, stamp); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *camera) current() CameraFault {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault
}

func (c *camera) setFault(f CameraFault) error {
	c.mu.Lock()
	c.fault = f
	c.mu.Unlock()
	return c.server.present(f != CameraAbsent)
}

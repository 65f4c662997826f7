package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Clip is a short film that is served over RTSP in a loop, in real time, as a camera would
// send it. It costs no encoding, so what a viewer costs can be measured beside it.
type Clip struct {
	server   *rtspServer
	pictures []coded
	period   time.Duration
	sent     func(picture int)
	cancel   context.CancelFunc
	done     chan struct{}
	failed   error // read after done
}

// PlayClip serves a file of FLV with H.264, whose first picture is a key frame, until ctx
// ends or Close is called. sent is called after each picture with its number in the file.
func PlayClip(ctx context.Context, path string, perSecond int, sent func(picture int)) (*Clip, error) {
	pictures, err := readClip(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c := &Clip{
		server: newRTSPServer("127.0.0.1:0"), pictures: pictures[1:], period: time.Second / time.Duration(perSecond),
		sent: sent, done: make(chan struct{}),
	}
	if err := c.server.open(pictures[0].sps, pictures[0].pps); err != nil {
		return nil, err
	}
	ctx, c.cancel = context.WithCancel(ctx)
	go func() {
		defer close(c.done)
		defer c.server.end()
		c.failed = c.play(ctx)
	}()
	return c, nil
}

// readClip returns the parameters and the pictures of a file.
func readClip(path string) (all []coded, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	in, err := newFLVReader(file)
	if err != nil {
		return nil, err
	}
	for {
		picture, err := in.next()
		switch {
		case errors.Is(err, io.EOF):
			if len(all) < 2 {
				return nil, errors.New("a clip without pictures")
			}
			return all, nil
		case err != nil:
			return nil, err
		case len(all) == 0 && picture.units != nil, len(all) == 1 && !picture.key:
			return nil, errors.New("a clip must begin with parameters and a key frame")
		case picture.units == nil && len(all) > 0:
			continue // the parameters again
		}
		all = append(all, picture)
	}
}

func (c *Clip) play(ctx context.Context) error {
	start := time.Now()
	for n := 0; ; n++ {
		if !pause(ctx.Done(), time.Until(start.Add(time.Duration(n)*c.period))) {
			return nil
		}
		stamp := uint32(int64(n) * int64(c.period) * clockRate / int64(time.Second))
		if err := c.server.send(c.pictures[n%len(c.pictures)], stamp); err != nil {
			return err
		}
		c.sent(n % len(c.pictures))
	}
}

// URL returns the address for viewers.
func (c *Clip) URL() string { return c.server.url() }

// Close stops serving.
func (c *Clip) Close() error {
	c.cancel()
	<-c.done
	return c.failed
}

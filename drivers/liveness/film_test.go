package liveness

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"meltwatch/simulator/furnace"
	furnaceview "meltwatch/simulator/scene"
)

// encoding is a camera's: size, rate and what its encoder may spend.
type encoding struct {
	width, height, rate int
	kilobits            int
	keyEvery            time.Duration
}

func (e encoding) String() string {
	return fmt.Sprintf("%dx%d at %d, %d kbit/s, key frames every %v", e.width, e.height, e.rate, e.kilobits, e.keyEvery)
}

func (e encoding) keyDistance() int { return int(e.keyEvery.Seconds() * float64(e.rate)) }

// starved are encoders with too few bits for the noise in the picture. MELTWATCH_KEY_SECONDS
// leaves those whose key frames are so far apart.
func starved(t *testing.T) []encoding {
	t.Helper()
	only := time.Duration(amount(t, "MELTWATCH_KEY_SECONDS", 0) * float64(time.Second))
	var all []encoding
	for _, key := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		if only > 0 && key != only {
			continue
		}
		all = append(all, encoding{640, 360, 15, 900, key}, encoding{1280, 720, 25, 2000, key})
	}
	return all
}

// source draws picture n, or leaves the one before in place.
type source func(n int, picture *image.YCbCr)

// furnaceSource draws a furnace in the given course, with the sensor's noise of
// the given deviation a pixel.
func furnaceSource(s furnace.Scenario, seed uint64, rate int, noise float64, repeated func(n int) bool) source {
	draw := drawing(s, seed, rate)
	grain := grained(seed, noise)
	return func(n int, picture *image.YCbCr) {
		if n > 0 && repeated(n) {
			return
		}
		draw(n, picture)
		grain(picture)
	}
}

// drawing is a furnace in the given course, without the sensor's noise.
func drawing(s furnace.Scenario, seed uint64, rate int) source {
	b := furnace.NewBatch(seed, seed)
	f := furnace.New(s, b, seed, seed)
	view := furnaceview.New(b)
	return func(n int, picture *image.YCbCr) {
		view.Full(f.AdvanceTo(float64(n)/float64(rate)), picture)
	}
}

// grained adds a sensor's noise of the given deviation to the luma of a picture.
func grained(seed uint64, noise float64) func(*image.YCbCr) {
	r := rand.New(rand.NewPCG(seed, 5))
	grain := make([]int16, 1<<18)
	for i := range grain {
		grain[i] = int16(math.Round(noise * r.NormFloat64()))
	}
	return func(picture *image.YCbCr) {
		for y := range furnaceview.Height {
			row := picture.Y[y*picture.YStride:][:furnaceview.Width]
			at := r.IntN(len(grain) - len(row))
			for x, g := range grain[at : at+len(row)] {
				row[x] = byte(min(max(int16(row[x])+g, 0), 255))
			}
		}
	}
}

// sharedSources are the views of several cameras, each with noise of its own, of a
// furnace that is drawn once: drawing it takes longer than encoding it.
func sharedSources(ctx context.Context, s furnace.Scenario, seed uint64, rate int, noise float64, cameras, n int) []source {
	drawn := make([]chan *image.YCbCr, cameras)
	sources := make([]source, cameras)
	for k := range cameras {
		drawn[k] = make(chan *image.YCbCr, 2)
		grain := grained(seed+uint64(k)<<32, noise)
		sources[k] = func(_ int, picture *image.YCbCr) {
			select {
			case p := <-drawn[k]:
				copy(picture.Y, p.Y)
				copy(picture.Cb, p.Cb)
				copy(picture.Cr, p.Cr)
				grain(picture)
			case <-ctx.Done():
			}
		}
	}
	go func() {
		draw := drawing(s, seed, rate)
		for i := range n {
			p := newPicture()
			draw(i, p)
			for k := range cameras {
				select {
				case drawn[k] <- p:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return sources
}

func newPicture() *image.YCbCr {
	return image.NewYCbCr(image.Rect(0, 0, furnaceview.Width, furnaceview.Height), image.YCbCrSubsampleRatio420)
}

// film sends n pictures through the encoder and back and passes each to look.
func film(ctx context.Context, e encoding, n int, draw source, look func(n int, p Picture)) error {
	group, ctx := errgroup.WithContext(ctx)
	encode := exec.CommandContext(ctx, "ffmpeg", "-v", "error",
		"-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", fmt.Sprintf("%dx%d", furnaceview.Width, furnaceview.Height), "-r", strconv.Itoa(e.rate), "-i", "-",
		"-vf", fmt.Sprintf("scale=%d:%d", e.width, e.height), "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-threads", "1",
		"-g", strconv.Itoa(e.keyDistance()), "-keyint_min", strconv.Itoa(e.keyDistance()), "-sc_threshold", "0",
		"-b:v", strconv.Itoa(e.kilobits)+"k", "-f", "h264", "-")
	decode := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-threads", "1", "-flags", "low_delay", "-f", "h264", "-i", "-",
		"-vf", fmt.Sprintf("scale=%d:%d:flags=neighbor", PictureWidth, PictureHeight), "-pix_fmt", "gray", "-fps_mode", "passthrough", "-f", "rawvideo", "-")
	var encoding, decoding bytes.Buffer // what each complains of
	encode.Stderr, decode.Stderr = &encoding, &decoding
	raw, rawIn := io.Pipe()
	stream, streamIn := io.Pipe()
	decoded, decodedIn := io.Pipe()
	encode.Stdin, encode.Stdout = raw, streamIn
	decode.Stdin, decode.Stdout = stream, decodedIn
	group.Go(func() error { return errors.Join(writeFrames(rawIn, n, draw), rawIn.Close()) })
	group.Go(func() error { return errors.Join(encode.Run(), streamIn.Close()) })
	group.Go(func() error { return errors.Join(decode.Run(), decodedIn.Close()) })
	group.Go(func() error { return readFrames(decoded, n, look) })
	if err := group.Wait(); err != nil {
		return fmt.Errorf("%w: %s%s", err, encoding.String(), decoding.String())
	}
	return nil
}

func writeFrames(to io.Writer, n int, draw source) error {
	picture := newPicture()
	for i := range n {
		draw(i, picture)
		for _, plane := range [][]byte{picture.Y, picture.Cb, picture.Cr} {
			if _, err := to.Write(plane); err != nil {
				return err
			}
		}
	}
	return nil
}

func readFrames(from io.Reader, n int, look func(int, Picture)) error {
	in := bufio.NewReaderSize(from, PictureWidth*PictureHeight)
	for i := range n {
		pixels := make([]byte, PictureWidth*PictureHeight)
		if _, err := io.ReadFull(in, pixels); err != nil {
			return fmt.Errorf("picture %d of %d: %w", i, n, err)
		}
		look(i, Picture{PictureWidth, PictureHeight, pixels})
	}
	_, err := io.Copy(io.Discard, in)
	return err
}

func needEncoder(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skipf("SKIPPED, no encoder to test with: %v", err)
	}
}

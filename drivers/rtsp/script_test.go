package rtsp

import (
	"context"
	"errors"
	"image"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"gocv.io/x/gocv"

	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/login"
	"meltwatch/drivers/rtsp/relay"
)

// scripted is a decoder that follows a script; a real one cannot be made to block on
// demand.
type scripted struct {
	next func(into *gocv.Mat) (time.Duration, bool)
}

func (s scripted) read(into *gocv.Mat) (time.Duration, bool) { return s.next(into) }
func (scripted) close()                                      {}

// scriptedSession is one that nothing happens to.
type scriptedSession struct {
	size relay.Size
	err  error
}

func (s *scriptedSession) Ready(context.Context, time.Duration) (bool, error) { return true, nil }
func (s *scriptedSession) URL() string                                        { return "" }
func (s *scriptedSession) Size() relay.Size                                   { return s.size }
func (s *scriptedSession) Err() error                                         { return s.err }
func (s *scriptedSession) End(err error)                                      {}
func (s *scriptedSession) Close()                                             {}

// withDecoder makes a camera whose streams are the scripted ones, in turn; the
// last one is opened again and again.
func withDecoder(t *testing.T, streams ...func(into *gocv.Mat) (time.Duration, bool)) *Camera {
	t.Helper()
	c := New()
	c.dial = func(context.Context, drivers.CameraSettings, *login.Ledger, func() time.Duration, *relay.Survey) (session, error) {
		return &scriptedSession{}, nil
	}
	var mu sync.Mutex
	c.open = func(string) (capture, error) {
		mu.Lock()
		defer mu.Unlock()
		s := streams[0]
		if len(streams) > 1 {
			streams = streams[1:]
		}
		return scripted{s}, nil
	}
	return c
}

// frames gives frames 40 ms apart, of the size, until n have been given; then
// the last one again and again, as a decoder does that gets nothing new.
func frames(n, width, height int) func(into *gocv.Mat) (time.Duration, bool) {
	given := 0
	return func(into *gocv.Mat) (time.Duration, bool) {
		time.Sleep(5 * time.Millisecond)
		m := gocv.NewMatWithSizeFromScalar(gocv.NewScalar(float64(given%200), 90, 200, 0), height, width, gocv.MatTypeCV8UC3)
		defer m.Close()
		m.CopyTo(into)
		given = min(given+1, n)
		return time.Duration(given) * 40 * time.Millisecond, true
	}
}

func TestBlockedDecoderEndsRun(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	c := withDecoder(t, func(*gocv.Mat) (time.Duration, bool) {
		<-release
		return 0, false
	})
	s := settings("rtsp://127.0.0.1:1/shell")
	s.Timeout = 200 * time.Millisecond
	if err := c.Configure(s); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Run(t.Context()) }()
	select {
	case err := <-done:
		if !errors.Is(err, ErrBlocked) {
			t.Errorf("Run: %v, want ErrBlocked", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Run waits for a decoder that does not come back")
	}
}

// A stream that repeats its last frame is opened again, and frame
// numbers go on from where they were.
func TestStreamThatStandsStillIsReopened(t *testing.T) {
	c := withDecoder(t, frames(10, 320, 240), frames(1<<30, 320, 240))
	run(t, c)
	s := settings("rtsp://127.0.0.1:1/shell")
	s.Timeout = 300 * time.Millisecond
	if err := c.Configure(s); err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
		reply, err := c.Latest(drivers.LatestRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if reply.Number < last {
			t.Fatalf("frame number went from %d to %d", last, reply.Number)
		}
		last = reply.Number
		if reply.Opens == 2 && last > 10 {
			return
		}
	}
	t.Fatalf("not opened again; last frame %d", last)
}

// The camera is switched to another resolution while the stream runs: the crop
// no longer fits, which is said and harms nothing.
func TestPictureShrinksUnderTheCrop(t *testing.T) {
	large, small := frames(1<<30, 320, 240), frames(1<<30, 160, 120)
	n := 0
	c := withDecoder(t, func(into *gocv.Mat) (time.Duration, bool) {
		if n++; n > 20 {
			return small(into)
		}
		return large(into)
	})
	run(t, c)
	if err := c.Configure(settings("rtsp://127.0.0.1:1/shell")); err != nil {
		t.Fatal(err)
	}
	await(t, c, drivers.Stale, seenWithin)
	reply, err := c.Latest(drivers.LatestRequest{})
	if err != nil || !strings.Contains(reply.Cause, "camera.crop: 240×200 at (40, 20) reaches out of the camera's 160×120 picture") {
		t.Errorf("cause %q (error %v)", reply.Cause, err)
	}
}

func TestCropAndScale(t *testing.T) {
	m := gocv.NewMatWithSizeFromScalar(gocv.NewScalar(10, 20, 30, 0), 100, 200, gocv.MatTypeCV8UC3) // blue, green, red
	defer m.Close()
	region := m.Region(cropOrFail(t, drivers.Rect{X: 100, Y: 0, Width: 100, Height: 100}, 200, 100))
	region.SetTo(gocv.NewScalar(40, 80, 160, 0))
	region.Close()
	for _, c := range []struct {
		name string
		crop drivers.Rect
		want []byte // red, green, blue of left and right half
	}{
		{"whole picture", drivers.Rect{}, []byte{30, 20, 10, 160, 80, 40}},
		{"right half", drivers.Rect{X: 100, Width: 100, Height: 100}, []byte{160, 80, 40, 160, 80, 40}},
		{"across the edge, each pixel the mean of its area", drivers.Rect{X: 50, Width: 100, Height: 100}, []byte{30, 20, 10, 160, 80, 40}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := forModel(m, drivers.CameraSettings{Crop: c.crop, Width: 2, Height: 1})
			if err != nil || string(got) != string(c.want) {
				t.Errorf("%v (error %v), want %v", got, err, c.want)
			}
		})
	}
}

func cropOrFail(t *testing.T, crop drivers.Rect, width, height int) (r image.Rectangle) {
	t.Helper()
	r, err := cropWithin(crop, width, height)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A preview of a picture that compresses badly is made to fit.
func TestPreviewIsBounded(t *testing.T) {
	m := gocv.NewMatWithSize(1440, 2560, gocv.MatTypeCV8UC3)
	defer m.Close()
	rng := gocv.TheRNG()
	rng.Fill(&m, gocv.RNGDistUniform, 0, 255, false)
	got, err := preview(m, drivers.PreviewRequest{MaxWidth: 4000, Quality: 100})
	if err != nil || len(got) == 0 || len(got) > maxPreview {
		t.Errorf("preview of %d bytes (error %v)", len(got), err)
	}
}

func TestConfigureRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(*drivers.CameraSettings)
		want   string
	}{
		{"nothing wrong", func(*drivers.CameraSettings) {}, ""},
		{"not a stream", func(s *drivers.CameraSettings) { s.URL = "http://camera/" }, "camera.url: "},
		{"no host", func(s *drivers.CameraSettings) { s.URL = "rtsp:///path" }, "camera.url: "},
		{"password in the URL", func(s *drivers.CameraSettings) { s.URL = "rtsp://u:hunter2@camera/" }, "move them to camera.username"},
		{"password in a URL that cannot be read", func(s *drivers.CameraSettings) { s.URL = "rtsp://u:hunter2@camera:port/" }, "camera.url: invalid URL"},
		{"no timeout", func(s *drivers.CameraSettings) { s.Timeout = 0 }, "camera.timeout: "},
		{"no limit", func(s *drivers.CameraSettings) { s.BlackAfter = 0 }, "black_after"},
		{"crop of no height", func(s *drivers.CameraSettings) { s.Crop = drivers.Rect{Width: 5} }, "camera.crop: "},
		{"crop left of the picture", func(s *drivers.CameraSettings) { s.Crop.X = -1 }, "camera.crop: "},
		{"model input of no width", func(s *drivers.CameraSettings) { s.Width = 0 }, "model input"},
		{"model input too large", func(s *drivers.CameraSettings) { s.Height = 1 << 20 }, "model input"},
		{"filter not built in", func(s *drivers.CameraSettings) { s.Resize = "lanczos" }, `unknown resize filter "lanczos"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := settings("rtsp://127.0.0.1:8554/shell")
			c.damage(&s)
			err := New().Configure(s)
			if c.want == "" {
				if err != nil {
					t.Errorf("error %v, want none", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error gives the password away: %v", err)
			}
		})
	}
}

// What OpenCV and FFmpeg print themselves must not hold the password either, so
// a whole test that logs in, wrongly and rightly, is run apart and read.
func TestNothingPrintsThePassword(t *testing.T) {
	run := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPassword$", "-test.v")
	printed, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, printed)
	}
	for _, secret := range []string{"p@ss", "p%40ss", "w/rd", "w%2Frd", "melt:"} {
		if strings.Contains(string(printed), secret) {
			t.Errorf("%q is printed:\n%s", secret, printed)
		}
	}
}

package rtsp

import (
	"bytes"
	"context"
	"image/jpeg"
	"net"
	"testing"
	"time"

	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/rtsptest"
)

// The faults here are real: a server that stops, an encoder that hangs, pictures
// that repeat. How fast each is seen is logged; the bound is three times
// what the design allows, for busy machines.
const (
	seenWithin   = 10 * time.Second
	healedWithin = 20 * time.Second
)

func settings(url string) drivers.CameraSettings {
	return drivers.CameraSettings{
		URL:         url,
		Timeout:     3 * time.Second,
		Transport:   drivers.TransportAuto,
		Decode:      drivers.DecodeAuto,
		Crop:        drivers.Rect{X: 40, Y: 20, Width: 240, Height: 200},
		Width:       64,
		Height:      48,
		Resize:      "area",
		StaleAfter:  2 * time.Second,
		FrozenAfter: 2500 * time.Millisecond,
		BlackAfter:  2 * time.Second,
	}
}

func watch(t *testing.T, s drivers.CameraSettings) *Camera {
	t.Helper()
	c := New()
	run(t, c)
	if err := c.Configure(s); err != nil {
		t.Fatalf("Configure: %v", err)
	}
	return c
}

func run(t *testing.T, c *Camera) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
			return // the decoder may still hold the picture
		}
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// await waits for the status and returns how long it took.
func await(t *testing.T, c *Camera, want drivers.Status, limit time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		reply, err := c.Latest(drivers.LatestRequest{})
		if err != nil {
			t.Fatalf("Latest: %v", err)
		}
		took := time.Since(start)
		if reply.Status == want {
			return took
		}
		if took > limit {
			t.Fatalf("%s (%s) after %v, want %s", reply.Status, reply.Cause, took, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestFaultsAreSeenAndHeal(t *testing.T) {
	camera := rtsptest.Start(t, "", "")
	c := watch(t, settings(camera.URL()))
	t.Logf("first picture after %v", await(t, c, drivers.OK, healedWithin))
	for _, fault := range []struct {
		name        string
		damage, fix func()
		status      drivers.Status
	}{
		{"packets stop", func() { camera.Stall(true) }, func() { camera.Stall(false) }, drivers.Stale},
		{"picture repeats", func() { camera.Show(rtsptest.Repeated) }, func() { camera.Show(rtsptest.Moving) }, drivers.Frozen},
		{"picture black", func() { camera.Show(rtsptest.Black) }, func() { camera.Show(rtsptest.Moving) }, drivers.Black},
		{"encoder dies", camera.StopPublisher, camera.StartPublisher, drivers.Stale},
		{"server gone", func() { camera.Unplug(); camera.StopPublisher() }, func() { camera.Plug(); camera.StartPublisher() }, drivers.Absent},
	} {
		healed := t.Run(fault.name, func(t *testing.T) {
			fault.damage()
			seen := await(t, c, fault.status, seenWithin)
			time.Sleep(time.Second)
			await(t, c, fault.status, 2*time.Second) // it stays so
			fault.fix()
			t.Logf("%s after %v, ok again after %v", fault.status, seen, await(t, c, drivers.OK, healedWithin))
			time.Sleep(500 * time.Millisecond)
		})
		if !healed {
			return // what follows would start from the wrong state
		}
	}
}

func TestLatest(t *testing.T) {
	camera := rtsptest.Start(t, "", "")
	s := settings(camera.URL())
	c := watch(t, s)
	await(t, c, drivers.OK, healedWithin)
	first, err := c.Latest(drivers.LatestRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Pixels) != 3*s.Width*s.Height {
		t.Fatalf("%d bytes of pixels, want %d", len(first.Pixels), 3*s.Width*s.Height)
	}
	again, err := c.Latest(drivers.LatestRequest{After: first.Number + 1000})
	if err != nil || again.Pixels != nil {
		t.Errorf("pixels of a frame that is not newer (error %v)", err)
	}
	time.Sleep(time.Second)
	later, err := c.Latest(drivers.LatestRequest{After: first.Number})
	if err != nil || later.Number <= first.Number || later.Pixels == nil {
		t.Fatalf("no newer frame after a second: %d after %d (error %v)", later.Number, first.Number, err)
	}
	t.Logf("%d frames in a second, age %v, %d dropped", later.Number-first.Number, later.Age, later.Dropped)
	if later.Age < 0 || later.Age > 2*time.Second {
		t.Errorf("age %v of a live frame", later.Age)
	}
	if later.Dropped == 0 || later.Dropped >= later.Decoded {
		t.Errorf("%d of %d frames dropped, when one a second was asked for", later.Dropped, later.Decoded)
	}
}

func TestPreview(t *testing.T) {
	camera := rtsptest.Start(t, "", "")
	c := watch(t, settings(camera.URL()))
	if _, err := c.Preview(drivers.PreviewRequest{MaxWidth: 160, Quality: 80}); err == nil {
		t.Error("a preview before the first picture")
	}
	await(t, c, drivers.OK, healedWithin)
	reply, err := c.Preview(drivers.PreviewRequest{MaxWidth: 160, Quality: 80})
	if err != nil {
		t.Fatal(err)
	}
	picture, err := jpeg.DecodeConfig(bytes.NewReader(reply.JPEG))
	if err != nil || picture.Width != 160 || picture.Height != 120 {
		t.Errorf("preview of %d×%d (error %v), want 160×120", picture.Width, picture.Height, err)
	}
	for _, bad := range []drivers.PreviewRequest{{MaxWidth: 0, Quality: 80}, {MaxWidth: 160, Quality: 0}, {MaxWidth: 160, Quality: 101}} {
		if _, err := c.Preview(bad); err == nil {
			t.Errorf("preview of %+v", bad)
		}
	}
}

// A crop that the picture does not have, found out only when the first picture
// comes, is said in words and does not end the process.
func TestCropOutsideThePicture(t *testing.T) {
	camera := rtsptest.Start(t, "", "")
	s := settings(camera.URL())
	s.Crop = drivers.Rect{X: 200, Y: 0, Width: 400, Height: 100}
	c := watch(t, s)
	awaitCause(t, c, "camera.crop: 400×100 at (200, 0) reaches out of the camera's 320×240 picture")
	s.Crop = drivers.Rect{}
	if err := c.Configure(s); err != nil {
		t.Fatal(err)
	}
	await(t, c, drivers.OK, healedWithin)
}

func TestPassword(t *testing.T) {
	camera := rtsptest.Start(t, "melt", "p@ss:w/rd")
	s := settings(camera.URL())
	s.Username, s.Password = "melt", "wrong"
	c := watch(t, s)
	awaitCause(t, c, "camera.username, camera.password_file: the camera refused the log-in (401)")
	s.Password = "p@ss:w/rd"
	if err := c.Configure(s); err != nil {
		t.Fatal(err)
	}
	await(t, c, drivers.OK, healedWithin)
}

func awaitCause(t *testing.T, c *Camera, want string) {
	t.Helper()
	var cause string
	for start := time.Now(); time.Since(start) < healedWithin; time.Sleep(50 * time.Millisecond) {
		reply, err := c.Latest(drivers.LatestRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if cause = reply.Cause; len(cause) >= len(want) && cause[:len(want)] == want {
			if reply.Status != drivers.Absent {
				t.Errorf("status %s, want absent", reply.Status)
			}
			return
		}
	}
	t.Fatalf("cause %q, want %q", cause, want)
}

// A camera that takes connections and says nothing is given up in time, again
// and again, by the decoder's own timeout: the process goes on.
func TestCameraThatAcceptsAndSaysNothing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := settings("rtsp://" + listener.Addr().String() + "/shell")
	s.Timeout = time.Second
	c := watch(t, s)
	start := time.Now()
	awaitCause(t, c, "the camera takes connections but does not answer within 1s (camera.timeout)")
	t.Logf("given up after %v at a timeout of %v", time.Since(start), s.Timeout)
}

// An encoder that hangs for longer than the timeout: the stream is closed and
// opened in vain meanwhile, and all is well when packets come again.
func TestLongStall(t *testing.T) {
	camera := rtsptest.Start(t, "", "")
	s := settings(camera.URL())
	s.Timeout = 1500 * time.Millisecond
	c := watch(t, s)
	await(t, c, drivers.OK, healedWithin)
	camera.Stall(true)
	await(t, c, drivers.Stale, seenWithin)
	time.Sleep(10 * time.Second)
	await(t, c, drivers.Stale, time.Second)
	camera.Stall(false)
	t.Logf("ok again after %v", await(t, c, drivers.OK, healedWithin))
	reply, err := c.Latest(drivers.LatestRequest{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("opened %d times, age %v", reply.Opens, reply.Age)
}

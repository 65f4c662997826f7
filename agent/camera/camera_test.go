package camera

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"meltwatch/agent/supervisor"
	"meltwatch/child"
	"meltwatch/drivers"
)

// The test binary is its own camera child. The real child is tested in drivers/camera
// and agent.
const role = "MELTWATCH_TEST_CAMERA"

func TestMain(m *testing.M) {
	if os.Getenv(role) == "" || os.Getenv("MELTWATCH_CHILD_FD") == "" {
		os.Exit(m.Run())
	}
	if err := child.Serve(context.Background(), child.Service{Name: "Camera", Version: drivers.CameraVersion, Receiver: &fake{}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// fake has a new frame at every request, taken 80 ms before.
type fake struct {
	number   atomic.Uint64
	settings drivers.CameraSettings
}

func (f *fake) Configure(s drivers.CameraSettings, _ *struct{}) error {
	f.settings = s
	return nil
}

func (f *fake) Latest(_ drivers.LatestRequest, reply *drivers.LatestReply) error {
	reply.Number = f.number.Add(1)
	reply.Age = 80 * time.Millisecond
	reply.Pixels = make([]byte, 3*f.settings.Width*f.settings.Height)
	reply.Status = drivers.OK
	reply.Opens = 1 + reply.Number/4 // the stream breaks at intervals
	if os.Getenv(role) != "breaks" {
		reply.Opens = 1
	}
	reply.PictureWidth, reply.PictureHeight = 1280, 720
	switch os.Getenv(role) {
	case "password":
		if f.settings.Password != "right" {
			reply.Status, reply.Cause, reply.Refused = drivers.Absent, "the camera refused the log-in", true
		}
	case "resizes":
		if reply.Number > 3 {
			reply.PictureWidth, reply.PictureHeight = 640, 360
		}
	case "black":
		reply.Status, reply.Cause = drivers.Black, "the picture is black"
	case "short":
		reply.Pixels = reply.Pixels[1:]
	}
	return nil
}

// faultRecorder records the reported faults.
type faultRecorder struct {
	quiet
	mu     sync.Mutex
	faults []error
}

func (r *faultRecorder) Fault(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, err)
}

func (r *faultRecorder) last() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.faults) == 0 {
		return nil
	}
	return r.faults[len(r.faults)-1]
}

type quiet struct{}

func (quiet) Beat()                   {}
func (quiet) OK()                     {}
func (quiet) Fault(error)             {}
func (quiet) Count(map[string]uint64) {}

func same() (drivers.CameraSettings, error) {
	return drivers.CameraSettings{Width: 4, Height: 4}, nil
}

func start(t *testing.T, how string) (c *Client, pid func() int) {
	return startWith(t, how, same, slog.New(slog.DiscardHandler), quiet{})
}

func startWith(t *testing.T, how string, read func() (drivers.CameraSettings, error), log *slog.Logger, observer Observer) (c *Client, pid func() int) {
	t.Helper()
	t.Setenv(role, how)
	settings, err := read()
	if err != nil {
		t.Fatal(err)
	}
	c = New(os.Args[0], settings, read, log, observer)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { supervisor.Run(ctx, "camera", log, c.Run) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return c, func() int { return int(c.pid.Load()) }
}

func waitFor(t *testing.T, c *Client, want drivers.Status, limit time.Duration) drivers.Frame {
	t.Helper()
	began := time.Now()
	for {
		frame, status := c.Newest()
		if status == want {
			t.Logf("%s after %s", want, time.Since(began).Round(10*time.Millisecond))
			return frame
		}
		if time.Since(began) > limit {
			t.Fatalf("status %s (%s), want %s within %s", status, c.Cause(), want, limit)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestFrameCarriesTheInstantItWasTaken(t *testing.T) {
	c, _ := start(t, "ok")
	frame := waitFor(t, c, drivers.OK, 10*time.Second)
	if age := time.Since(frame.Time); age < 80*time.Millisecond || age > 5*time.Second {
		t.Fatalf("frame is %s old, want 80 ms and a little", age)
	}
	if frame.Number == 0 || len(frame.Pixels) != 48 {
		t.Fatalf("frame %d of %d bytes", frame.Number, len(frame.Pixels))
	}
}

// Without the request, the client asks its child every 200 ms.
func TestRefreshFetchesANewerFrameAtOnce(t *testing.T) {
	c, _ := start(t, "ok")
	before := waitFor(t, c, drivers.OK, 10*time.Second)
	began := time.Now()
	for range 20 {
		select {
		case <-c.Refresh():
		case <-time.After(10 * time.Second):
			t.Fatal("no answer")
		}
		now, _ := c.Newest()
		if now.Number <= before.Number {
			t.Fatalf("frame %d after frame %d", now.Number, before.Number)
		}
		before = now
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("20 frames took %s", took)
	}
}

func TestFrameHasTheNumberOfItsOpening(t *testing.T) {
	c, _ := start(t, "breaks")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		frame, _ := c.Newest()
		if frame.Number > 0 && frame.Stream != 1+frame.Number/4 {
			t.Fatalf("frame %d is of opening %d, want %d", frame.Number, frame.Stream, 1+frame.Number/4)
		}
		if frame.Stream == 3 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still opening %d", frame.Stream)
		}
	}
}

func TestStatusIsTheChilds(t *testing.T) {
	c, _ := start(t, "black")
	waitFor(t, c, drivers.Black, 10*time.Second)
	if c.Cause() == "" {
		t.Fatal("the cause is empty")
	}
}

func TestFrameOfWrongSizeIsNotPassedOn(t *testing.T) {
	c, _ := start(t, "short")
	if frame := waitFor(t, c, drivers.OK, 10*time.Second); frame.Number != 0 {
		t.Fatalf("a frame of %d bytes came through", len(frame.Pixels))
	}
}

func TestDeadAndStoppedChildrenAreAbsentAndReplaced(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stopped": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			c, pid := start(t, "ok")
			before := waitFor(t, c, drivers.OK, 10*time.Second)
			if err := syscall.Kill(pid(), signal); err != nil {
				t.Fatal(err)
			}
			waitFor(t, c, drivers.Absent, 3*time.Second)
			after := waitFor(t, c, drivers.OK, 15*time.Second)
			if before.Stream != 1 || after.Stream != 2 {
				t.Errorf("frames of openings %d and %d, want 1 and 2", before.Stream, after.Stream)
			}
		})
	}
}

// The same child uses a corrected password file while the camera refuses. A file that
// cannot be read meanwhile changes nothing.
func TestCorrectedPasswordIsTriedAtOnce(t *testing.T) {
	var password atomic.Value
	password.Store("wrong")
	read := func() (drivers.CameraSettings, error) {
		if password.Load() == "" {
			return drivers.CameraSettings{}, errors.New("camera.password_file: read secret: no such file")
		}
		return drivers.CameraSettings{Width: 4, Height: 4, Password: password.Load().(string)}, nil
	}
	var observer faultRecorder
	c, pid := startWith(t, "password", read, slog.New(slog.DiscardHandler), &observer)
	for start := time.Now(); !errors.As(observer.last(), &Refusal{}); time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("no refusal is reported: %v", observer.last())
		}
	}
	before := pid()
	password.Store("")
	time.Sleep(reread + reread/2)
	if _, status := c.Newest(); status != drivers.Absent || pid() != before {
		t.Errorf("%s, child %d of %d, while the file is missing", status, pid(), before)
	}
	password.Store("right")
	waitFor(t, c, drivers.OK, reread+2*time.Second)
	if pid() != before {
		t.Error("another child was started")
	}
}

func TestChangedPictureSizeIsLogged(t *testing.T) {
	var text lockedBuffer
	c, _ := startWith(t, "resizes", same, slog.New(slog.NewTextHandler(&text, nil)), quiet{})
	for start := time.Now(); !strings.Contains(text.String(), "check camera.crop"); time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("the log is: %s", text.String())
		}
	}
	if width, height := c.PictureSize(); width != 640 || height != 360 {
		t.Errorf("size %d×%d", width, height)
	}
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

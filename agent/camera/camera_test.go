package camera

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"meltwatch/agent/supervisor"
	"meltwatch/child"
	"meltwatch/drivers"
)

// The test binary is its own camera child; a real one is tested in
// drivers/camera and agent.
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

// fake has a new frame at every question, taken 80 ms before.
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
	reply.Opens = 1 + reply.Number/4 // the stream breaks now and then
	if os.Getenv(role) != "breaks" {
		reply.Opens = 1
	}
	switch os.Getenv(role) {
	case "black":
		reply.Status, reply.Cause = drivers.Black, "the picture is black"
	case "short":
		reply.Pixels = reply.Pixels[1:]
	}
	return nil
}

type quiet struct{}

func (quiet) Beat()                   {}
func (quiet) OK()                     {}
func (quiet) Fault(error)             {}
func (quiet) Count(map[string]uint64) {}

func start(t *testing.T, how string) (c *Client, pid func() int) {
	t.Helper()
	t.Setenv(role, how)
	log := slog.New(slog.DiscardHandler)
	c = New(os.Args[0], drivers.CameraSettings{Width: 4, Height: 4}, log, quiet{})
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

func TestFrameSaysWhichOpeningItIsOf(t *testing.T) {
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
		t.Fatal("no cause is given")
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

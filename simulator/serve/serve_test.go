package serve

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"go.uber.org/goleak"

	"meltwatch/simulator/furnace"
)

func TestOptionsThatCannotWorkAreNamed(t *testing.T) {
	for _, c := range []struct {
		want string
		Options
	}{
		{"word order", Options{WordOrder: "ACBD"}},
		{"video delay", Options{VideoDelay: -time.Second}},
		{"current delay", Options{CurrentDelay: time.Minute}},
		{"segments[0].state", Options{Scenario: furnace.Scenario{Segments: []furnace.Segment{{State: "odd", Seconds: 1}}}}},
		{"listen for meter clients", Options{ModbusAddr: "192.0.2.1:1", NoCamera: true}},
	} {
		s, err := Start(t.Context(), c.Options)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v does not name %q", err, c.want)
		}
	}
}

func TestAMissingEncoderIsNamedWithItsRemedy(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Start(t.Context(), Options{})
	if err == nil || !strings.Contains(err.Error(), "install ffmpeg") {
		t.Errorf("error %v does not say what to install", err)
	}
}

func TestAnEncoderThatFailsAtOnceIsQuoted(t *testing.T) {
	folder := t.TempDir()
	script := "#!/bin/sh\necho no such codec >&2\nexit 3\n"
	if err := os.WriteFile(folder+"/ffmpeg", []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	_, err := Start(t.Context(), Options{})
	if err == nil || !strings.Contains(err.Error(), "no such codec") {
		t.Errorf("error %v does not quote the encoder", err)
	}
}

func TestAnEncoderThatDiesIsReplaced(t *testing.T) {
	s := filming(t, Options{})
	v := watch(t, s)
	before := v.next()
	first := encoders(t)
	if len(first) != 1 {
		t.Fatalf("%d encoders run, want 1", len(first))
	}
	encoder, err := os.FindProcess(first[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := encoder.Kill(); err != nil {
		t.Fatal(err)
	}
	for gone := false; !gone; { // what was under way
		now := encoders(t)
		gone = len(now) == 1 && now[0] != first[0]
		time.Sleep(20 * time.Millisecond)
	}
	after := v.some(2)
	if step := after[0].stamp - before.stamp; step%frameStamps != 0 {
		t.Errorf("the stamps went on by %d", step)
	}
	if b := brightness(decode(t, after)[1]); b < 5 {
		t.Errorf("the new encoder's picture has brightness %.1f", b)
	}
}

// encoders are the process numbers of our own ffmpeg children.
func encoders(t *testing.T) (list []int) {
	t.Helper()
	all, err := procfs.AllProcs()
	if err != nil {
		t.Skipf("SKIPPED: needs /proc to see its children: %v", err)
	}
	for _, process := range all {
		stat, err := process.Stat()
		if err != nil {
			continue // it has just ended
		}
		if stat.Comm == "ffmpeg" && stat.PPID == os.Getpid() && stat.State != "Z" {
			list = append(list, process.PID)
		}
	}
	return list
}

func TestACameraThatIsLeftOut(t *testing.T) {
	s := serving(t, Options{})
	if url := s.CameraURL(); url != "" {
		t.Errorf("camera is at %q", url)
	}
	if err := s.SetCameraFault(CameraBlack); err == nil {
		t.Error("a fault of no camera is accepted")
	}
}

func TestClosingLeavesNothingBehind(t *testing.T) {
	needFFmpeg(t)
	running := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Start(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(encoders(t)) != 1 {
		t.Fatal("no encoder runs")
	}
	v, r := watch(t, s), dial(t, s)
	v.next()
	r.ask(1)
	r.good(1)
	meter := strings.TrimPrefix(s.MeterURL(), "tcp://")
	cancel()
	<-s.Done()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if left := encoders(t); len(left) != 0 {
		t.Errorf("encoders %v still run", left)
	}
	if conn, err := net.Dial("tcp", meter); err == nil {
		conn.Close()
		t.Error("the meter still listens")
	}
	<-v.ended
	r.Close()
	goleak.VerifyNone(t, running)
}

package health

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFailingPartThatBeatsIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := NewRegistry()
		meter, model := registry.Add("meter", time.Second), registry.Add("model", time.Minute)
		for range 10 {
			time.Sleep(900 * time.Millisecond)
			meter.Beat()
			meter.Fault(errors.New("no answer"))
		}
		if stuck := registry.Stuck(); len(stuck) != 0 {
			t.Fatalf("stuck: %v", stuck)
		}
		time.Sleep(2 * time.Second)
		model.Beat()
		if stuck := registry.Stuck(); !slices.Equal(stuck, []string{"meter"}) {
			t.Fatalf("stuck: %v, want meter", stuck)
		}
	})
}

func TestStatusKeepsItsBeginningAndTheLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := NewRegistry()
		part := registry.Add("broker", time.Second)
		time.Sleep(time.Second)
		part.Fault(errors.New("refused"))
		began := time.Now()
		time.Sleep(time.Second)
		part.Fault(errors.New("refused again"))
		part.Count(map[string]uint64{"redials": 2})
		if got := registry.Snapshot()["broker"]; !got.Since.Equal(began) || got.Error != "refused again" || got.Counters["redials"] != 2 {
			t.Fatalf("got %+v", got)
		}
		part.OK()
		if got := registry.Snapshot()["broker"]; got.Status != "ok" || got.Error != "refused again" || !got.Since.Equal(time.Now()) {
			t.Fatalf("got %+v", got)
		}
	})
}

// A real notification socket replaces systemd.
func TestWatchdogIsFedOnlyWhileNothingIsStuck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", strconv.Itoa(200_000))

	registry := NewRegistry()
	part := registry.Add("meter", 500*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Notify(ctx, registry, slog.New(slog.DiscardHandler)) }()

	next := func(wait time.Duration) string {
		buf := make([]byte, 256)
		if err := socket.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		n, err := socket.Read(buf)
		if err != nil {
			return ""
		}
		return string(buf[:n])
	}
	if got := next(5 * time.Second); got != "READY=1" {
		t.Fatalf("first notification is %q, want READY=1", got)
	}
	part.Beat()
	if got := next(5 * time.Second); got != "WATCHDOG=1" {
		t.Fatalf("got %q, want WATCHDOG=1", got)
	}
	// When the part stops beating, the notifications stop.
	quiet := false
	for range 50 {
		if quiet = next(400*time.Millisecond) == ""; quiet {
			break
		}
	}
	if !quiet {
		t.Fatal("the watchdog is fed though a part is stuck")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := next(time.Second); !strings.HasPrefix(got, "STOPPING") {
		t.Fatalf("last notification is %q, want STOPPING=1", got)
	}
}

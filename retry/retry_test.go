package retry

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitsGrowToACeiling(t *testing.T) {
	for try := range 20 {
		want := min(MinWait<<min(try, 10), MaxWait)
		for range 100 {
			if w := Wait(try); w < want/2 || w > want {
				t.Fatalf("try %d waits %s, want %s to %s", try, w, want/2, want)
			}
		}
	}
}

func TestFaultOfAnHourIsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		f := Faults{Log: slog.New(slog.NewTextHandler(&log, nil))}
		f.Over()
		for range 2 * 60 * 60 {
			f.Report(errors.New("no answer"))
			time.Sleep(500 * time.Millisecond)
		}
		f.Over()
		f.Over()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 1+59+1 {
			t.Fatalf("%d lines in an hour:\n%s", len(lines), log.String())
		}
		if !strings.Contains(lines[0], `msg="fault began" err="no answer"`) {
			t.Errorf("first line: %s", lines[0])
		}
		if !strings.Contains(lines[60], "msg=recovered after=1h0m0s count=7200") {
			t.Errorf("last line: %s", lines[60])
		}
	})
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if !Sleep(t.Context(), time.Second) {
			t.Error("a sleep that nothing cut short says that it was")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if Sleep(ctx, time.Hour) || time.Since(began) != time.Second {
			t.Errorf("a sleep that was cut short took %s", time.Since(began))
		}
	})
}

func TestEveryCallsUntilItIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		stop := Every(t.Context(), time.Second, func() { calls++ })
		time.Sleep(3500 * time.Millisecond)
		stop()
		time.Sleep(time.Minute)
		if calls != 3 {
			t.Errorf("%d calls in 3.5 s, want 3", calls)
		}
		ctx, cancel := context.WithCancel(t.Context())
		stop = Every(ctx, time.Second, func() { calls++ })
		cancel()
		time.Sleep(time.Minute)
		stop()
		if calls != 3 {
			t.Errorf("%d calls after the context ended", calls-3)
		}
	})
}

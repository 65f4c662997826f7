package supervisor

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

var errBroken = errors.New("broken")

func TestWaitsGrowToACeiling(t *testing.T) {
	for try := range 20 {
		want := min(shortest<<min(try, 10), longest)
		for range 100 {
			if w := Wait(try); w < want/2 || w > want {
				t.Fatalf("try %d waits %s, want %s to %s", try, w, want/2, want)
			}
		}
	}
}

func TestFailingPartIsStartedAgainAndSaysSoSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var log bytes.Buffer
		starts := 0
		err := Run(ctx, "meter", slog.New(slog.NewTextHandler(&log, nil)), func(context.Context) error {
			starts++
			return errBroken
		})
		if err != nil {
			t.Fatal(err)
		}
		if least, most := 600/8, 600/4+10; starts < least || starts > most {
			t.Errorf("%d starts in ten minutes, want %d to %d", starts, least, most)
		}
		if lines := strings.Count(log.String(), "\n"); lines < 8 || lines > 11 {
			t.Errorf("%d log lines in ten minutes, want one a minute:\n%s", lines, log.String())
		}
	})
}

func TestPartThatRanWellStartsAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var ended time.Time
		starts := 0
		if err := Run(ctx, "meter", slog.New(slog.DiscardHandler), func(ctx context.Context) error {
			if starts++; starts > 1 && time.Since(ended) > shortest {
				t.Errorf("start %d came after %s", starts, time.Since(ended))
			}
			Sleep(ctx, time.Minute)
			ended = time.Now()
			return errBroken
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPermanentErrorEndsIt(t *testing.T) {
	err := Run(t.Context(), "model", slog.New(slog.DiscardHandler), func(context.Context) error {
		return Permanent(errBroken)
	})
	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "model") {
		t.Fatalf("got %v", err)
	}
}

func TestRecoveryIsLogged(t *testing.T) {
	var log bytes.Buffer
	f := Faults{Log: slog.New(slog.NewTextHandler(&log, nil))}
	f.Over()
	f.Report(errBroken)
	f.Over()
	if got := log.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "recovered") {
		t.Fatalf("log is %q", got)
	}
}

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

	"meltwatch/retry"
)

var errBroken = errors.New("broken")

func TestFailingPartIsRestartedAndRarelyLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var log bytes.Buffer
		starts := 0
		Run(ctx, "meter", slog.New(slog.NewTextHandler(&log, nil)), func(context.Context) error {
			starts++
			return errBroken
		})
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
		Run(ctx, "meter", slog.New(slog.DiscardHandler), func(ctx context.Context) error {
			if starts++; starts > 1 && time.Since(ended) > retry.MinWait {
				t.Errorf("start %d came after %s", starts, time.Since(ended))
			}
			retry.Sleep(ctx, time.Minute)
			ended = time.Now()
			return errBroken
		})
	})
}

func TestRecoveryIsLoggedWhenItHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		failed := false
		Run(ctx, "meter", slog.New(slog.NewTextHandler(&log, nil)), func(ctx context.Context) error {
			if !failed {
				failed = true
				return errBroken
			}
			<-ctx.Done()
			return nil
		})
		synctest.Wait()
		if lines := strings.Split(strings.TrimSpace(log.String()), "\n"); len(lines) != 2 || !strings.Contains(lines[1], "recovered") {
			t.Fatalf("log is %q", lines)
		}
	})
}

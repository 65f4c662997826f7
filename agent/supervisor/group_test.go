package supervisor

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestGroupEndsOnePartOrAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(slog.New(slog.DiscardHandler))
		var running atomic.Int32
		part := func(ctx context.Context) error {
			running.Add(1)
			defer running.Add(-1)
			<-ctx.Done()
			time.Sleep(time.Second) // it takes its time to end
			return nil
		}
		stop := g.Start("first", part)
		g.Start("second", part)
		g.Start("third", part)
		synctest.Wait()
		stop()
		if n := running.Load(); n != 2 {
			t.Errorf("%d parts run after one was stopped, want 2", n)
		}
		stop() // once more changes nothing
		g.Stop()
		if n := running.Load(); n != 0 {
			t.Errorf("%d parts run after all were stopped", n)
		}
		late := g.Start("late", part)
		synctest.Wait()
		late()
		if n := running.Load(); n != 0 {
			t.Errorf("%d parts were started after the end", n)
		}
	})
}

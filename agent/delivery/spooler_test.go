package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/stamp"
)

// watched notes the rounds of the spooler, and when a record was stored.
type watched struct {
	*Memory
	rounds int
	stored time.Time
}

func (w *watched) Append(class string, payload []byte) uint64 {
	w.stored = time.Now()
	return w.Memory.Append(class, payload)
}

func (w *watched) Sync() { w.rounds++ }

// While the broker acknowledges everything the spooler has one round a second, and the first record
// that is not acknowledged is stored in time nevertheless.
func TestIdleSpoolerRestsAndStoresInTime(t *testing.T) {
	for phase := 10 * time.Millisecond; phase < time.Second; phase += 70 * time.Millisecond {
		t.Run(fmt.Sprint(phase), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stamper, err := stamp.OnHost(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				outbox, link := &watched{Memory: NewMemory(100)}, &slowLink{}
				p := New(startSettings("tcp://none", 1000), root, stamper, outbox, slog.New(slog.DiscardHandler), quiet{})
				c := p.Connect(link)
				ctx, stop := context.WithCancel(t.Context())
				var spooling sync.WaitGroup
				spooling.Go(func() { p.spool(ctx) })
				sample := func(acknowledged bool) {
					p.Sample(message.Sample{Stamp: stamper.Stamp("current", time.Now()), A: 15000})
					if err := c.Step(); err != nil {
						t.Fatal(err)
					}
					if acknowledged {
						c.Acknowledge(link.due())
					}
				}
				for range 20 {
					sample(true)
					time.Sleep(500 * time.Millisecond)
				}
				synctest.Wait()
				if outbox.rounds > 12 {
					t.Errorf("%d rounds in 10 s of a healthy link, want 1 a second", outbox.rounds)
				}
				if !outbox.stored.IsZero() {
					t.Error("a record that was acknowledged is stored")
				}
				time.Sleep(phase)
				made := time.Now()
				sample(false)
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if outbox.stored.IsZero() || outbox.stored.Sub(made) > ackGrace+spoolEvery {
					t.Errorf("stored %s after it was made, want at most %s", outbox.stored.Sub(made), ackGrace+spoolEvery)
				}
				stop()
				spooling.Wait()
			})
		})
	}
}

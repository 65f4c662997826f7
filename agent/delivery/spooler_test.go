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

// watched notes the rounds of the spooler, when a record was stored, and when an acknowledgement
// was durable.
type watched struct {
	*Memory
	sync.Mutex
	rounds         int
	stored, synced time.Time
	acknowledged   bool
}

func (w *watched) Append(class string, payload []byte) uint64 {
	w.Lock()
	defer w.Unlock()
	w.stored = time.Now()
	return w.Memory.Append(class, payload)
}

func (w *watched) Ack(class string, numbers []uint64) {
	w.Lock()
	defer w.Unlock()
	w.acknowledged = true
	w.Memory.Ack(class, numbers)
}

func (w *watched) Sync() {
	w.Lock()
	defer w.Unlock()
	w.rounds++
	if w.acknowledged && w.synced.IsZero() {
		w.synced = time.Now()
	}
}

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
				defer func() { stop(); spooling.Wait() }()
				sample := func(acknowledged bool) {
					p.Sample(message.Sample{Stamp: stamper.Stamp("current", time.Now()), A: 15000})
					if err := c.Step(); err != nil {
						t.Fatal(err)
					}
					if acknowledged {
						c.Acknowledge(link.due())
					}
				}
				time.Sleep(100 * time.Millisecond) // not at the instants of the rounds
				begun := 0                         // rounds of the first two seconds
				for i := range 20 {
					if i == 4 {
						synctest.Wait()
						outbox.Lock()
						begun = outbox.rounds
						outbox.Unlock()
					}
					sample(true)
					time.Sleep(500 * time.Millisecond)
				}
				synctest.Wait()
				outbox.Lock()
				if rounds := outbox.rounds - begun; rounds > 9 {
					t.Errorf("%d rounds in 8 s of a healthy link, want 1 a second", rounds)
				}
				if !outbox.stored.IsZero() {
					t.Error("a record that was acknowledged is stored")
				}
				outbox.Unlock()
				time.Sleep(phase)
				p.Event(message.Event{Stamp: stamper.Stamp("event", time.Now()), Kind: "start"})
				synctest.Wait()
				if err := c.Step(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(1700 * time.Millisecond) // the broker is slow
				c.Acknowledge(link.due())
				acknowledged := time.Now()
				time.Sleep(3 * time.Second)
				synctest.Wait()
				outbox.Lock()
				if outbox.synced.IsZero() || outbox.synced.Sub(acknowledged) > spoolEvery {
					t.Errorf("the acknowledgement of an event reached the disk after %s, want at most %s", outbox.synced.Sub(acknowledged), spoolEvery)
				}
				outbox.stored = time.Time{}
				outbox.Unlock()
				made := time.Now()
				sample(false)
				time.Sleep(3 * time.Second)
				synctest.Wait()
				outbox.Lock()
				defer outbox.Unlock()
				if outbox.stored.IsZero() || outbox.stored.Sub(made) > ackGrace+spoolEvery {
					t.Errorf("stored %s after it was made, want at most %s", outbox.stored.Sub(made), ackGrace+spoolEvery)
				}
			})
		})
	}
}

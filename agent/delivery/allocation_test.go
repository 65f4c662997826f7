//go:build !race

package delivery

// The race detector allocates too.

import (
	"log/slog"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/stamp"
)

// discarding acknowledges nothing and keeps nothing.
type discarding struct{ id uint16 }

func (l *discarding) Publish(string, bool, []byte) uint16 {
	l.id = max(l.id+1, 1)
	return l.id
}

// A published sample allocates its record, its JSON and its message, and little beside.
func TestPublishedSampleAllocatesLittle(t *testing.T) {
	stamper, err := stamp.OnHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := New(startSettings("tcp://none", 10_000), root, stamper, NewMemory(100), slog.New(slog.DiscardHandler), quiet{})
	link := &discarding{}
	c := p.Connect(link)
	ids := make([]uint16, 1)
	allocations := testing.AllocsPerRun(2000, func() {
		p.Sample(message.Sample{Stamp: stamper.Stamp("current", time.Now()), A: 15012.5, B: 15000, C: 14999.25, SetPoint: 15000, UncertaintyMS: 0.25})
		if err := c.Step(); err != nil {
			t.Fatal(err)
		}
		ids[0] = link.id
		c.Acknowledge(ids)
		p.Round()
	})
	if allocations > 7 {
		t.Errorf("%v allocations a sample", allocations)
	}
}

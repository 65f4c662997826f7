//go:build unix

package serve

import (
	"syscall"
	"testing"
	"time"
)

// BenchmarkServing serves a furnace with one poller at 2 Hz and one viewer for
// ten seconds a round, and reports how many processors that takes, encoder
// included (and the viewer, who costs little).
func BenchmarkServing(b *testing.B) {
	needFFmpeg(b)
	const round = 10 * time.Second
	for b.Loop() {
		begin, spent := time.Now(), processorTime(b)
		serveFor(b, round)
		b.ReportMetric((processorTime(b)-spent).Seconds()/time.Since(begin).Seconds(), "cores")
	}
}

func serveFor(b *testing.B, d time.Duration) {
	s, err := Start(b.Context(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	v, r := watch(b, s), dial(b, s)
	end := time.After(d)
	poll := time.NewTicker(500 * time.Millisecond)
	defer poll.Stop()
	for id := uint16(1); ; {
		select {
		case <-end:
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			return
		case <-v.pictures:
		case <-poll.C:
			r.ask(id)
			r.good(id)
			id++
		}
	}
}

// processorTime is what this process and its ended children have used.
func processorTime(b *testing.B) (sum time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

package agent

import (
	"slices"
	"testing"
	"time"

	"meltwatch/config/strict/stricttest"
	"meltwatch/percentile"
)

// latencies returns the time of each state since a time, from the end of its second to
// the broker's subscriber.
func (p *plant) latencies(since time.Time) (all []time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.states {
		if s.at.After(since) {
			all = append(all, s.at.Sub(s.Time))
		}
	}
	slices.Sort(all)
	return all
}

// The worst documents of 255 KiB on every subscribed topic, ten a second, do not affect
// publishing.
func TestWorstDocumentsLeaveTheStreamAlone(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlant(t, working())
	p.healthy()
	began := time.Now()
	time.Sleep(20 * time.Second)
	before := percentile.Of(p.latencies(began), 95)
	began = time.Now()
	p.unharmedWhile(func() {
		worst := stricttest.Worst(255 << 10)
		for _, topic := range []string{"config/desired", "model/desired", "model/chunk/1", "command"} {
			for name, document := range worst {
				if topic == "config/desired" {
					document = append(append([]byte(`{"revision": 7, "config": `), document...), '}')
				}
				if err := p.server.Publish("meltwatch/test/f1/"+topic, document, topic == "config/desired", 1); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
	})
	during := percentile.Of(p.latencies(began), 95)
	t.Logf("95th percentile of a state's latency: %s before, %s meanwhile", before.Round(time.Millisecond), during.Round(time.Millisecond))
	if during > before+200*time.Millisecond {
		t.Errorf("a state takes %s at the 95th percentile, %s before", during, before)
	}
}

package agent

import (
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
	return all
}

// The worst documents of 255 KiB on every subscribed topic, ten a second, do not affect
// publishing.
func TestWorstDocumentsLeaveTheStreamAlone(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlant(t, atWork(t))
	p.healthy()
	holds(t, "the worst documents", func() []measure {
		var before, during []time.Duration
		worst := stricttest.Worst(255 << 10)
		// In turns, so that a change of the machine's load meets both.
		for _, topic := range []string{"config/desired", "model/desired", "model/chunk/1", "command"} {
			began := time.Now()
			time.Sleep(5 * time.Second)
			before = append(before, p.latencies(began)...)
			began = time.Now()
			p.unharmedWhile(func() {
				for name, document := range worst {
					if topic == "config/desired" {
						document = append(append([]byte(`{"revision": 7, "config": `), document...), '}')
					}
					if err := p.server.Publish("meltwatch/test/f1/"+topic, document, topic == "config/desired", 1); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
			during = append(during, p.latencies(began)...)
		}
		longer := percentile.Of(during, 95) - percentile.Of(before, 95)
		t.Logf("95th percentile of a state's latency: %s before, %s meanwhile", percentile.Of(before, 95), percentile.Of(during, 95))
		return []measure{{"longer at the 95th percentile of a state's latency", longer, 200 * time.Millisecond}}
	})
}

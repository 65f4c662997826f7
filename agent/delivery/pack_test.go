package delivery

import (
	"encoding/json"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/stamp"
)

// slowLink acknowledges each message some time after it was sent.
type slowLink struct {
	delay time.Duration
	sent  []sentMessage
	ids   uint16
	acks  []uint16 // in the order of sending
	open  int      // unacknowledged messages of current
	most  int      // the largest value of open
}

type sentMessage struct {
	topic   string
	payload []byte
	at      time.Time
}

func (l *slowLink) Publish(topic string, _ bool, payload []byte) uint16 {
	l.ids++
	l.sent = append(l.sent, sentMessage{topic, payload, time.Now()})
	if topic == root+message.TopicCurrent {
		l.open++
		l.most = max(l.most, l.open)
	}
	return l.ids
}

// due takes the ids whose acknowledgement has arrived.
func (l *slowLink) due() (ids []uint16) {
	for n := len(l.acks); n < len(l.sent) && time.Since(l.sent[n].at) >= l.delay; n++ {
		if l.sent[n].topic == root+message.TopicCurrent {
			l.open--
		}
		l.acks = append(l.acks, uint16(n+1))
		ids = append(ids, uint16(n+1))
	}
	return ids
}

// storing counts what is written to the outbox.
type storing struct {
	*Memory
	appended int
}

func (s *storing) Append(class string, payload []byte) uint64 {
	s.appended++
	return s.Memory.Append(class, payload)
}

// stream sends samples at a rate and a state each second over a link for a time, as Run
// does, and returns the messages of current and what was stored.
func stream(t *testing.T, link *slowLink, every, lasts time.Duration) (samples [][]message.Sample, took []time.Duration, stored int) {
	t.Helper()
	stamper, err := stamp.OnHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	outbox := &storing{Memory: NewMemory(10_000)}
	p := New(startSettings("tcp://none", 10_000), root, stamper, outbox, slog.New(slog.DiscardHandler), quiet{})
	c := p.Connect(link)
	began := time.Now()
	next, state, round := began, began, began
	for ; time.Since(began) < lasts+3*time.Second; time.Sleep(time.Millisecond) {
		now := time.Now()
		if now.Sub(began) < lasts && !now.Before(next) {
			p.Sample(message.Sample{Stamp: stamper.Stamp("current", now), A: 15000})
			next = next.Add(every)
		}
		if !now.Before(state) {
			p.State(message.State{Stamp: stamper.Stamp("state", now), State: "normal"}, false)
			state = state.Add(time.Second)
		}
		if !now.Before(round) {
			p.Round()
			round = round.Add(spoolEvery)
		}
		c.Acknowledge(link.due())
		if err := c.Step(); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range link.sent {
		if m.topic != root+message.TopicCurrent {
			continue
		}
		var pack struct{ Samples []message.Sample }
		if err := json.Unmarshal(m.payload, &pack); err != nil {
			t.Fatal(err)
		}
		samples = append(samples, pack.Samples)
		for _, s := range pack.Samples {
			took = append(took, m.at.Sub(s.Time))
		}
	}
	return samples, took, outbox.appended
}

// Each sample is a message of its own, at any rate, while the broker keeps up; what has to
// wait for it is sent together. A healthy link writes nothing to the outbox.
func TestOnlySamplesThatWaitArePacked(t *testing.T) {
	for name, c := range map[string]struct {
		every, delay time.Duration
		packed       bool
		latest       time.Duration // that a sample may be sent after it was made
	}{
		"2 Hz, at once":   {500 * time.Millisecond, 0, false, 2 * time.Millisecond},
		"10 Hz, at once":  {100 * time.Millisecond, 0, false, 2 * time.Millisecond},
		"100 Hz, at once": {10 * time.Millisecond, time.Millisecond, false, 2 * time.Millisecond},
		"20 Hz, 300 ms":   {50 * time.Millisecond, 300 * time.Millisecond, false, 2 * time.Millisecond},
		"20 Hz, 750 ms":   {50 * time.Millisecond, 750 * time.Millisecond, false, 2 * time.Millisecond},
		"100 Hz, 400 ms":  {10 * time.Millisecond, 400 * time.Millisecond, true, 400 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				link := &slowLink{delay: c.delay}
				packs, took, stored := stream(t, link, c.every, 20*time.Second)
				seq := uint64(0)
				for _, pack := range packs {
					if len(pack) != 1 && !c.packed || len(pack) > packSamples {
						t.Fatalf("a message of %d samples", len(pack))
					}
					for _, s := range pack {
						if seq++; s.Seq != seq {
							t.Fatalf("sample %d where %d follows", s.Seq, seq)
						}
					}
				}
				if made := uint64(20 * time.Second / c.every); seq != made {
					t.Errorf("%d of %d samples", seq, made)
				}
				if worst := slices.Max(took); worst > c.latest {
					t.Errorf("a sample waited %s", worst)
				}
				if link.most > currentWindow {
					t.Errorf("%d messages were unacknowledged", link.most)
				}
				if stored > 0 {
					t.Errorf("%d records were written to the outbox", stored)
				}
			})
		})
	}
}

// A pack stays as small as what the broker is known to take.
func TestPackOfLiveSamplesKeepsTheBrokersLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stamper, err := stamp.OnHost(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		p := New(startSettings("tcp://none", 10_000), root, stamper, NewMemory(1000), slog.New(slog.DiscardHandler), quiet{})
		p.limit.pack = 900
		link := &slowLink{delay: time.Second}
		c := p.Connect(link)
		for range 100 {
			p.Sample(message.Sample{Stamp: stamper.Stamp("current", time.Now())})
		}
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			c.Acknowledge(link.due())
			if err := c.Step(); err != nil {
				t.Fatal(err)
			}
		}
		packs := 0
		for _, m := range link.sent {
			if len(m.topic)+len(m.payload) > 900 {
				t.Errorf("a message of %d bytes", len(m.topic)+len(m.payload))
			}
			if m.topic == root+message.TopicCurrent {
				packs++
			}
		}
		if packs < 20 || packs > 60 {
			t.Errorf("100 samples in %d messages", packs)
		}
	})
}

// A meter answers before the broker does. Its samples are sent as soon as there is a
// connection, live and in order, and are not written to the disk.
func TestSamplesFromBeforeTheConnectionAreSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stamper, err := stamp.OnHost(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		outbox := &storing{Memory: NewMemory(1000)}
		p := New(startSettings("tcp://none", 10_000), root, stamper, outbox, slog.New(slog.DiscardHandler), quiet{})
		sample := func() { p.Sample(message.Sample{Stamp: stamper.Stamp("current", time.Now())}) }
		live := func(link *slowLink) (seqs []uint64) {
			for _, m := range link.sent {
				if m.topic == root+message.TopicCurrent {
					seqs = append(seqs, sequence(t, []received{{payload: string(m.payload)}})...)
				}
			}
			return seqs
		}
		step := func(c *Connection, link *slowLink) {
			t.Helper()
			c.Acknowledge(link.due())
			if err := c.Step(); err != nil {
				t.Fatal(err)
			}
			p.Round()
		}
		sample()
		time.Sleep(400 * time.Millisecond)
		sample()
		first := &slowLink{}
		c := p.Connect(first)
		step(c, first)
		if got := live(first); !slices.Equal(got, []uint64{1, 2}) {
			t.Fatalf("samples %v at once, want 1 and 2", got)
		}
		step(c, first)
		time.Sleep(3 * time.Second)
		step(c, first)
		if outbox.appended > 0 {
			t.Errorf("%d records were written to the outbox", outbox.appended)
		}
		c.End()
		sample() // 3: due for the outbox when the next connection begins
		p.Round()
		time.Sleep(1200 * time.Millisecond)
		p.Round()
		sample()
		second := &slowLink{}
		c = p.Connect(second)
		step(c, second)
		step(c, second)
		time.Sleep(time.Second)
		step(c, second)
		if got := live(second); !slices.Equal(got, []uint64{4}) || outbox.appended != 1 {
			t.Errorf("samples %v live and %d stored, want 4 live and 3 stored", got, outbox.appended)
		}
		var late []uint64
		for _, m := range second.sent {
			if m.topic == root+message.TopicHistory+message.TopicCurrent {
				late = append(late, sequence(t, []received{{payload: string(m.payload)}})...)
			}
		}
		if !slices.Equal(late, []uint64{3}) {
			t.Errorf("samples %v late, want 3", late)
		}
	})
}

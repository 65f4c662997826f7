package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"meltwatch/agent/message"
)

// subscriber is a publisher that records the messages it receives.
type subscriber struct {
	*Publisher
	mu    sync.Mutex
	heard []string
	stop  func() error
}

func subscribeAt(t *testing.T, b *broker) *subscriber {
	t.Helper()
	l := &subscriber{Publisher: New(startSettings(b.url(), 100), root, nil, NewMemory(100), slog.New(slog.DiscardHandler), quiet{})}
	l.renewEvery, l.clearedAfter = 300*time.Millisecond, 100*time.Millisecond
	l.SubscribeRetained("config/desired", func(_ string, payload []byte, retained bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.heard = append(l.heard, fmt.Sprint(string(payload), " ", retained))
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	l.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (s *subscriber) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heard)
}

func (s *subscriber) last() string {
	all := s.all()
	if len(all) == 0 {
		return "nothing"
	}
	return all[len(all)-1]
}

func (b *broker) desire(payload string) {
	b.t.Helper()
	if err := b.server.Publish(root+"config/desired", []byte(payload), true, 1); err != nil {
		b.t.Fatal(err)
	}
}

// Documents in quick succession are received in the order of their publication.
func TestDocumentsAreReceivedInOrder(t *testing.T) {
	b := newBroker(t)
	b.desire("begin")
	l := subscribeAt(t, b)
	eventually(t, 10*time.Second, "the first", func() bool { return l.last() == "begin true" })
	var want []string
	for i := range 2000 {
		b.desire(fmt.Sprint(i))
		want = append(want, fmt.Sprint(i, " false"))
		if i%500 == 499 {
			eventually(t, 20*time.Second, fmt.Sprint("document ", i), func() bool { return slices.Contains(l.all(), want[i]) })
		}
	}
	live := slices.DeleteFunc(l.all(), func(one string) bool { return strings.HasSuffix(one, " true") })
	if !slices.Equal(live, want) {
		at := 0
		for at < min(len(live), len(want)) && live[at] == want[at] {
			at++
		}
		t.Errorf("%d received of %d; order differs from number %d on", len(live), len(want), at)
	}
}

// lateEnd delays the end of the first connection. The library then removes the client
// that has connected under the same id meanwhile, with its subscriptions.
type lateEnd struct {
	mochi.HookBase
	came    atomic.Bool
	ending  chan struct{}
	release chan struct{}
}

func (*lateEnd) ID() string { return "late-end" }

func (*lateEnd) Provides(b byte) bool { return b == mochi.OnUnsubscribed }

func (l *lateEnd) OnUnsubscribed(*mochi.Client, packets.Packet) {
	if !l.came.Swap(true) {
		close(l.ending)
		<-l.release
	}
}

// If a broker loses a subscription silently, later documents and the clearing of the
// topic still arrive.
func TestLostSubscriptionCostsNoDocument(t *testing.T) {
	for _, after := range []string{"two", ""} {
		late := &lateEnd{ending: make(chan struct{}), release: make(chan struct{})}
		release := sync.OnceFunc(func() { close(late.release) })
		b := brokerBehind(t, func(address string) listeners.Listener {
			return listeners.NewTCP(listeners.Config{ID: "test", Address: address})
		}, new(auth.AllowHook), late)
		t.Cleanup(release)
		b.desire("one")
		first := subscribeAt(t, b)
		eventually(t, 10*time.Second, "received by the first", func() bool { return first.last() == "one true" })
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		<-late.ending
		second := subscribeAt(t, b)
		eventually(t, 10*time.Second, "received by the second", func() bool { return second.last() == "one true" })
		release()
		eventually(t, 10*time.Second, "forgotten", func() bool { return b.server.Clients.Len() <= 1 }) // the inline client
		b.desire(after)
		eventually(t, 10*time.Second, "the later document", func() bool { return second.last() == after+" true" })
		time.Sleep(time.Second) // three renewals
		if got := second.all(); len(got) != 2 {
			t.Errorf("received %q: a repetition was passed on", got)
		}
	}
}

// filters records what is subscribed to in each packet, as "filter qos".
type filters struct {
	mochi.HookBase
	mu      sync.Mutex
	packets [][]string
}

func (*filters) ID() string { return "filters" }

func (*filters) Provides(b byte) bool { return b == mochi.OnSubscribed }

func (f *filters) OnSubscribed(c *mochi.Client, p packets.Packet, _ []byte) {
	if c.Net.Inline {
		return
	}
	var packet []string
	for _, one := range p.Filters {
		packet = append(packet, fmt.Sprint(strings.TrimPrefix(one.Filter, root), " ", one.Qos))
	}
	slices.Sort(packet)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.packets = append(f.packets, packet)
}

// No subscription costs the broker a queue of QoS 1, and two packets hold all.
func TestSubscriptionsCostTheBrokerLittle(t *testing.T) {
	asked := &filters{}
	b := brokerBehind(t, func(address string) listeners.Listener {
		return listeners.NewTCP(listeners.Config{ID: "test", Address: address})
	}, new(auth.AllowHook), asked)
	p := New(startSettings(b.url(), 100), root, nil, NewMemory(100), slog.New(slog.DiscardHandler), quiet{})
	for _, topic := range []string{message.TopicConfigDesired, message.TopicModelDesired, message.TopicModelChunk, message.TopicCommand} {
		p.Subscribe(topic, func(string, []byte) {})
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	eventually(t, 10*time.Second, "connected", func() bool { return b.retained(root+message.TopicAvailability) == "online" })
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	asked.mu.Lock()
	defer asked.mu.Unlock()
	want := [][]string{{"health 0"}, {"availability 0", "command 0", "config/desired 0", "model/chunk/+ 0", "model/desired 0"}}
	if fmt.Sprint(asked.packets) != fmt.Sprint(want) {
		t.Errorf("asked for %q, want %q", asked.packets, want)
	}
}

// A retained message is handled once in a connection, and again in a new one. A topic
// without a retained message never counts as cleared.
func TestRenewalsRepeatNoMessage(t *testing.T) {
	b := newBroker(t)
	l := subscribeAt(t, b)
	eventually(t, 10*time.Second, "connected", func() bool { return b.retained(root+message.TopicAvailability) == "online" })
	time.Sleep(500 * time.Millisecond)
	if err := b.server.Publish(root+"config/desired", []byte("not retained"), false, 1); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	b.desire("kept")
	time.Sleep(time.Second)
	b.desire("")
	time.Sleep(time.Second)
	if got := l.all(); !slices.Equal(got, []string{"not retained false", "kept false", " false"}) {
		t.Errorf("received %q", got)
	}
}

// A retained message of 8 MiB on config/desired is neither held in memory nor ends the
// connection. The next message is received.
func TestOversizePacketIsSkipped(t *testing.T) {
	b := newBroker(t)
	huge := []byte(strings.Repeat("x", 8<<20))
	if err := b.server.Publish(root+"config/desired", huge, true, 1); err != nil {
		t.Fatal(err)
	}
	p := New(startSettings(b.url(), 100), root, nil, NewMemory(100), slog.New(slog.DiscardHandler), quiet{})
	var largest, heard atomic.Int64
	p.Subscribe("config/desired", func(_ string, payload []byte) {
		heard.Add(1)
		largest.Store(max(largest.Load(), int64(len(payload))))
	})
	ended := make(chan error, 1)
	go func() { ended <- p.Run(t.Context()) }()
	eventually(t, 10*time.Second, "connected", func() bool { return b.retained(root+message.TopicAvailability) == "online" })
	if err := b.server.Publish(root+"config/desired", []byte("small"), true, 1); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the small one is received", func() bool { return heard.Load() == 1 })
	if n := largest.Load(); n != 5 || p.Counters()["redials"] != 0 {
		t.Errorf("received %d bytes, %d redials", n, p.Counters()["redials"])
	}
}

// refuses lets nobody subscribe to one topic.
type refuses struct {
	auth.AllowHook
	topic string
}

func (r *refuses) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	return write || topic != r.topic
}

// A filter that the broker refuses is told once, by its name, and the others are served.
func TestOneRefusedFilterLeavesTheOthers(t *testing.T) {
	b := brokerBehind(t, func(address string) listeners.Listener {
		return listeners.NewTCP(listeners.Config{ID: "test", Address: address})
	}, &refuses{topic: root + message.TopicModelDesired})
	b.desire("one")
	var log syncBuffer
	p := New(startSettings(b.url(), 100), root, nil, NewMemory(100), slog.New(slog.NewTextHandler(&log, nil)), quiet{})
	p.renewEvery, p.clearedAfter = 200*time.Millisecond, 100*time.Millisecond
	heard := make(chan string, 100)
	for _, topic := range []string{message.TopicConfigDesired, message.TopicModelDesired, message.TopicModelChunk, message.TopicCommand} {
		p.Subscribe(topic, func(topic string, payload []byte) { heard <- topic + " " + string(payload) })
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	hears := func(want string) {
		t.Helper()
		select {
		case got := <-heard:
			if got != want {
				t.Errorf("heard %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q was not heard", want)
		}
	}
	hears("config/desired one")
	for _, topic := range []string{"model/chunk/3", message.TopicCommand} {
		if err := b.server.Publish(root+topic, []byte("two"), false, 1); err != nil {
			t.Fatal(err)
		}
		hears(topic + " two")
	}
	time.Sleep(time.Second) // five renewals
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if told := log.String(); strings.Count(told, "subscription failed") != 1 || !strings.Contains(told, "topic="+root+message.TopicModelDesired) {
		t.Errorf("told %s", told)
	}
	if len(heard) > 0 {
		t.Errorf("heard %q too", <-heard)
	}
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

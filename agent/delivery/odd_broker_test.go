package delivery

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"meltwatch/agent/message"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// reader collects what a real broker delivers.
type reader struct {
	mu       sync.Mutex
	messages []received
	client   paho.Client
}

func readFrom(t *testing.T, address string) *reader {
	t.Helper()
	r := &reader{}
	r.client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID("reader").SetAutoReconnect(false))
	if token := r.client.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal("the reader is not connected", token.Error())
	}
	t.Cleanup(func() { r.client.Disconnect(50) })
	token := r.client.Subscribe(root+"#", 1, func(_ paho.Client, m paho.Message) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.messages = append(r.messages, received{m.Topic(), string(m.Payload()), m.Retained(), time.Now()})
	})
	if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal("the reader is not subscribed", token.Error())
	}
	return r
}

func (r *reader) on(topics ...string) (found []received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.messages {
		if slices.Contains(topics, strings.TrimPrefix(m.topic, root)) {
			found = append(found, m)
		}
	}
	return found
}

// seqs is the set of the seqs that arrived on topics.
func (r *reader) seqs(t *testing.T, topics ...string) map[uint64]bool {
	set := map[uint64]bool{}
	for _, seq := range sequence(t, r.on(topics...)) {
		set[seq] = true
	}
	return set
}

func (a *agent) samples(n int) {
	for range n {
		a.Sample(message.Sample{Stamp: a.stamper.Stamp("current", time.Now()), A: 15_000.25, B: 14_900.5, C: 15_100.75, SetPoint: 15_000})
	}
}

// A broker that accepts small packets only gets history in smaller packs. All of it
// arrives, and live samples arrive meanwhile.
func TestHistoryFitsIntoWhatTheBrokerTakes(t *testing.T) {
	t.Parallel()
	for _, most := range []int{4096, 2048, 1024} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			t.Parallel()
			address := freeAddress(t)
			a := startAgent(t, "tcp://"+address, 10_000)
			const kept = 400
			a.samples(kept)
			time.Sleep(1500 * time.Millisecond) // until they are in the outbox
			if !mosquittoAt(t, address, fmt.Sprintf("max_packet_size %d\nmax_queued_messages 0\n", most)) {
				t.Skip("mosquitto is not installed")
			}
			r := readFrom(t, address)
			live := time.NewTicker(200 * time.Millisecond)
			defer live.Stop()
			made := kept
			eventually(t, 90*time.Second, "everything that was kept, and what is made meanwhile", func() bool {
				select {
				case <-live.C:
					a.samples(1)
					made++
				default:
				}
				return len(r.seqs(t, message.TopicCurrent, "history/current")) >= kept+20
			})
			inOrder(t, sequence(t, r.on("history/current")))
			inOrder(t, sequence(t, r.on(message.TopicCurrent)))
			if n := a.Counters()["redials"]; n > 12 {
				t.Errorf("%d connections were lost until the packs fitted", n)
			}
			// From now on no connection is lost.
			before := a.Counters()["redials"]
			for range 20 {
				a.samples(1)
				made++
				time.Sleep(100 * time.Millisecond)
			}
			if n := a.Counters()["redials"] - before; n > 0 {
				t.Errorf("%d connections lost later", n)
			}
			eventually(t, 20*time.Second, "all of it", func() bool { return len(r.seqs(t, message.TopicCurrent, "history/current")) == made })
		})
	}
}

// A message that the broker refuses is set aside, counted and reported. All other
// messages arrive, also later events.
func TestMessageThatCannotPassIsSetAside(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	observer := &lastStatus{}
	a := startBy(t, startSettings("tcp://"+address, 10_000), NewMemory(1000), observer)
	a.Event(message.Event{Stamp: a.stamper.Stamp("event", time.Now()), Kind: "test", Cause: strings.Repeat("long ", 1000)})
	a.Event(message.Event{Stamp: a.stamper.Stamp("event", time.Now()), Kind: "short"})
	if !mosquittoAt(t, address, "max_packet_size 4096\n") {
		t.Skip("mosquitto is not installed")
	}
	r := readFrom(t, address)
	short := func() bool {
		return slices.ContainsFunc(r.on("event", "history/event"), func(m received) bool { return strings.Contains(m.payload, `"short"`) })
	}
	eventually(t, 60*time.Second, "the event after the one that cannot pass", short)
	eventually(t, 20*time.Second, "a fault is reported", func() bool {
		return observer.last() != nil && strings.Contains(observer.last().Error(), "max_packet_size")
	})
	eventually(t, 20*time.Second, "an event about it", func() bool {
		return slices.ContainsFunc(r.on("event", "history/event"), func(m received) bool { return strings.Contains(m.payload, `"refused"`) })
	})
	if n := a.Counters()["kept_back"]; n == 0 {
		t.Error("nothing is counted as kept back")
	}
	before := a.Counters()["redials"]
	for range 10 {
		a.second("normal")
		time.Sleep(100 * time.Millisecond)
	}
	eventually(t, 10*time.Second, "live states", func() bool { return len(r.on(message.TopicState)) >= 5 })
	if n := a.Counters()["redials"] - before; n > 0 {
		t.Errorf("%d connections lost later", n)
	}
}

// Connections that the network ends at random lead to no harmful limit: small messages
// always pass.
func TestCutConnectionsSetNothingSmallAside(t *testing.T) {
	l := &brokerLimit{}
	for range 100 {
		l.acked(900)
		if l.ended(700, true) || l.ended(900, true) {
			t.Fatal("a size that has passed counts as refused")
		}
	}
	l.ended(7000, true)
	l.ended(7000, true)
	l.acked(7000)
	if l.ended(7200, true); !l.admits(7100) {
		t.Error("refused after one connection that ended there")
	}
	for range refusedAfter {
		l.ended(9000, true)
	}
	if l.admits(9000) || !l.admits(8999) {
		t.Errorf("after %d connections that ended at 9000 bytes: %+v", refusedAfter, l)
	}
	if l.acked(9500); !l.admits(9000) {
		t.Error("still refused though a larger one has passed")
	}
}

// A broker whose access list denies our topics still acknowledges.
func TestDeniedTopicsAreDetected(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]string{
		"may only read":     "topic read #\n",
		"may only write":    "topic write #\n",
		"may do nothing":    "topic read nothing\n",
		"another furnace's": "topic readwrite meltwatch/plant-1/f08/#\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := mosquitto(t, "acl_file "+put(t, t.TempDir(), "acl", []byte(list))+"\n")
			if address == "" {
				t.Skip("mosquitto is not installed")
			}
			if err := try(t, startSettings("tcp://"+address, 100)); err == nil || !strings.Contains(err.Error(), "access list") {
				t.Errorf("check reports %v", err)
			}
			observer := &lastStatus{}
			a := startBy(t, startSettings("tcp://"+address, 100), NewMemory(100), observer)
			a.Health(message.Health{Agent: "test", Stamp: a.stamper.Stamp("health", time.Now())})
			eventually(t, 30*time.Second, "the observer is told", func() bool {
				return observer.last() != nil && strings.Contains(observer.last().Error(), "access list")
			})
		})
	}
	t.Run("may do what the documents say", func(t *testing.T) {
		t.Parallel()
		address := mosquitto(t, "acl_file "+put(t, t.TempDir(), "acl", []byte("topic readwrite "+root+"#\n"))+"\n")
		if address == "" {
			t.Skip("mosquitto is not installed")
		}
		if err := try(t, startSettings("tcp://"+address, 100)); err != nil {
			t.Error(err)
		}
		observer := &lastStatus{}
		a := startBy(t, startSettings("tcp://"+address, 100), NewMemory(100), observer)
		a.Health(message.Health{Agent: "test", Stamp: a.stamper.Stamp("health", time.Now())})
		time.Sleep(echoTimeout + 3*time.Second)
		if err := observer.last(); err != nil {
			t.Error(err)
		}
	})
}

// A broker without retained messages ends the connection at the first one. The fault
// names the setting; with the setting everything is delivered.
func TestBrokerWithoutRetainedMessages(t *testing.T) {
	address := mosquitto(t, "retain_available false\n")
	if address == "" {
		t.Skip("mosquitto is not installed")
	}
	observer := &lastStatus{}
	settings := startSettings("tcp://"+address, 100)
	refused := startBy(t, settings, NewMemory(100), observer)
	eventually(t, 30*time.Second, "the fault names the setting", func() bool {
		return observer.last() != nil && strings.Contains(observer.last().Error(), "mqtt.retain")
	})
	refused.stop()
	settings.Retain = false
	a := startBy(t, settings, NewMemory(100), quiet{})
	r := readFrom(t, address)
	eventually(t, 20*time.Second, "states and events", func() bool {
		a.second("normal")
		return len(r.on(message.TopicState)) > 2 && len(r.on(message.TopicEvent, "history/event")) > 2
	})
	if n := a.Counters()["redials"]; n > 0 {
		t.Errorf("%d connections lost", n)
	}
}

// Availability that another client has set to offline is corrected, and two clients
// that contradict each other do not flood the broker.
func TestForgedOfflineDoesNotStay(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a := startAgent(t, b.url(), 1000)
	eventually(t, 10*time.Second, "online", func() bool { return b.retained(root+message.TopicAvailability) == "online" })
	for range 2 {
		if err := b.server.Publish(root+message.TopicAvailability, []byte("offline"), true, 1); err != nil {
			t.Fatal(err)
		}
		eventually(t, assertEvery+5*time.Second, "online again", func() bool { return b.retained(root+message.TopicAvailability) == "online" })
	}
	before := len(b.on(root + message.TopicAvailability))
	for range 50 { // a client that repeats it
		if err := b.server.Publish(root+message.TopicAvailability, []byte("offline"), true, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(time.Second)
	if ours := len(b.on(root+message.TopicAvailability)) - before - 50; ours > 2 {
		t.Errorf("%d corrections of 50 forgeries within 2 s", ours)
	}
	eventually(t, assertEvery+5*time.Second, "online in the end", func() bool { return b.retained(root+message.TopicAvailability) == "online" })
	a.stop()
	eventually(t, 5*time.Second, "offline on purpose", func() bool { return b.retained(root+message.TopicAvailability) == "offline" })
}

package delivery

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"meltwatch/agent/message"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// scripted is a broker that deviates from the protocol as its script says. Connections
// are numbered from 1.
type scripted struct {
	t       *testing.T
	address string
	// connack returns the reply to a CONNECT; nil accepts.
	connack func(connection int) (code byte, sessionPresent bool)
	// publish handles a message. It returns whether and after how long it is
	// acknowledged; kick ends the connection instead.
	publish func(connection int, p *packets.PublishPacket) (ack bool, after time.Duration, kick bool)
	suback  byte // return code for a SUBSCRIBE
	// greeting is sent after the CONNACK.
	greeting func(connection int) []packets.ControlPacket

	mu          sync.Mutex
	connections int
	messages    []received
	acked       int
}

func startScripted(t *testing.T, s *scripted) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.t, s.address = t, l.Addr().String()
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.connections++
			number := s.connections
			s.mu.Unlock()
			go s.serve(number, c)
		}
	}()
	return s
}

func (s *scripted) url() string { return "tcp://" + s.address }

func (s *scripted) serve(number int, c net.Conn) {
	defer c.Close()
	var writing sync.Mutex
	write := func(p packets.ControlPacket) {
		writing.Lock()
		defer writing.Unlock()
		_ = p.Write(c) // the client may have left
	}
	for {
		in, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		switch p := in.(type) {
		case *packets.ConnectPacket:
			out := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
			if s.connack != nil {
				out.ReturnCode, out.SessionPresent = s.connack(number)
			}
			write(out)
			if out.ReturnCode != 0 {
				return
			}
			if s.greeting != nil {
				for _, g := range s.greeting(number) {
					write(g)
				}
			}
		case *packets.SubscribePacket:
			out := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
			out.MessageID, out.ReturnCodes = p.MessageID, []byte{s.suback}
			write(out)
		case *packets.PingreqPacket:
			write(packets.NewControlPacket(packets.Pingresp))
		case *packets.PublishPacket:
			ack, after, kick := true, time.Duration(0), false
			if s.publish != nil {
				ack, after, kick = s.publish(number, p)
			}
			if kick {
				return
			}
			s.mu.Lock()
			s.messages = append(s.messages, received{topic: p.TopicName, payload: string(p.Payload), at: time.Now()})
			s.mu.Unlock()
			if ack {
				time.AfterFunc(after, func() {
					s.mu.Lock()
					s.acked++
					s.mu.Unlock()
					write(puback(p.MessageID))
				})
			}
		}
	}
}

func puback(id uint16) packets.ControlPacket {
	p := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
	p.MessageID = id
	return p
}

func (s *scripted) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// on returns the messages on a topic so far, like broker.on.
func (s *scripted) on(topic string) (found []received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if m.topic == topic {
			found = append(found, m)
		}
	}
	return found
}

// deafBroker starts a broker that accepts connections and never acknowledges a message.
func deafBroker(t *testing.T) (url string, connections func() int) {
	t.Helper()
	s := startScripted(t, &scripted{publish: func(int, *packets.PublishPacket) (bool, time.Duration, bool) { return false, 0, false }})
	return s.url(), s.count
}

// all waits until each event made so far has arrived, live or as history, in order.
func (a *agent) all(from interface{ on(string) []received }, within time.Duration) {
	t := a.t
	t.Helper()
	want := int(a.stamper.Stamp("event", time.Now()).Seq) - 1
	got := map[uint64]bool{}
	eventually(t, within, "every event", func() bool {
		clear(got)
		for _, topic := range []string{message.TopicEvent, message.TopicHistory + message.TopicEvent} {
			for _, seq := range sequence(t, from.on(root+topic)) {
				got[seq] = true
			}
		}
		return len(got) >= want
	})
	for _, topic := range []string{message.TopicEvent, message.TopicHistory + message.TopicEvent} {
		inOrder(t, firsts(sequence(t, from.on(root+topic))))
	}
	eventually(t, 20*time.Second, "an empty outbox", func() bool {
		c := a.Counters()
		return c["waiting_event"]+c["waiting_state"]+c["waiting_current"] == 0
	})
}

// firsts returns the first deliveries.
func firsts(seqs []uint64) (list []uint64) {
	seen := map[uint64]bool{}
	for _, seq := range seqs {
		if !seen[seq] {
			list = append(list, seq)
		}
		seen[seq] = true
	}
	return list
}

func TestBrokerThatAcknowledgesLate(t *testing.T) {
	t.Parallel()
	s := startScripted(t, &scripted{publish: func(int, *packets.PublishPacket) (bool, time.Duration, bool) {
		return true, 1700 * time.Millisecond, false
	}})
	a := startWith(t, s.url(), onDisk(t, t.TempDir()))
	for range 10 {
		a.second("normal")
		time.Sleep(200 * time.Millisecond)
	}
	a.all(s, 20*time.Second)
	// Slow acknowledgements are not lost, so nothing is sent again.
	if live, late := len(s.on(root+message.TopicEvent)), len(s.on(root+"history/event")); live+late > 10 {
		t.Errorf("10 events became %d live and %d late ones", live, late)
	}
	if n := s.count(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// The acknowledgements of the first connection arrive on the second. They must not
// count.
func TestAcknowledgementOfAnEarlierConnectionDoesNotCount(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var old []uint16
	s := startScripted(t, &scripted{
		publish: func(connection int, p *packets.PublishPacket) (bool, time.Duration, bool) {
			if connection > 1 {
				return true, 0, false
			}
			mu.Lock()
			defer mu.Unlock()
			old = append(old, p.MessageID)
			return false, 0, len(old) > 12
		},
		greeting: func(connection int) (stale []packets.ControlPacket) {
			mu.Lock()
			defer mu.Unlock()
			for _, id := range old {
				stale = append(stale, puback(id+1000), puback(id))
			}
			return stale
		},
	})
	a := startWith(t, s.url(), onDisk(t, t.TempDir()))
	for range 10 {
		a.second("normal")
		time.Sleep(100 * time.Millisecond)
	}
	a.all(s, 20*time.Second)
	s.mu.Lock()
	taken := s.acked
	s.mu.Unlock()
	if acked := int(a.Counters()["acked"]); acked > taken {
		t.Errorf("%d messages count as acknowledged, the broker acknowledged %d", acked, taken)
	}
}

func TestBrokerThatViolatesTheProtocol(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]*scripted{
		"refuses at first": {connack: func(n int) (byte, bool) {
			if n < 4 {
				return packets.ErrRefusedNotAuthorised, false
			}
			return 0, false
		}},
		"lets us read nothing":           {suback: 0x80},
		"claims a session that it lost":  {connack: func(int) (byte, bool) { return 0, true }},
		"kicks after each third message": {publish: kicking(3)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startScripted(t, script)
			a := startWith(t, s.url(), onDisk(t, t.TempDir()))
			for range 10 {
				a.second("normal")
				time.Sleep(100 * time.Millisecond)
			}
			a.all(s, 60*time.Second)
		})
	}
}

// kicking returns a script that ends the first five connections at their nth message.
func kicking(nth int) func(int, *packets.PublishPacket) (bool, time.Duration, bool) {
	var mu sync.Mutex
	seen := map[int]int{}
	return func(connection int, _ *packets.PublishPacket) (bool, time.Duration, bool) {
		mu.Lock()
		defer mu.Unlock()
		seen[connection]++
		return true, 0, connection <= 5 && seen[connection] > nth
	}
}

func TestRefusalIsNamed(t *testing.T) {
	s := startScripted(t, &scripted{connack: func(int) (byte, bool) { return packets.ErrRefusedBadUsernameOrPassword, false }})
	if err := try(t, startSettings(s.url(), 100)); err == nil || !strings.Contains(strings.ToLower(err.Error()), "bad user name or password") {
		t.Fatalf("got %v", err)
	}
}

package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"meltwatch/agent/message"
	"meltwatch/agent/mqtt"
	"meltwatch/config"
)

// lastStatus is an observer that records the last status.
type lastStatus struct {
	quiet
	mu    sync.Mutex
	fault error
}

func (s *lastStatus) OK() { s.set(nil) }

func (s *lastStatus) Fault(err error) { s.set(err) }

func (s *lastStatus) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
}

func (s *lastStatus) last() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// try connects once, as meltwatch check does.
func try(t *testing.T, c config.MQTT) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return mqtt.Probe(ctx, c, c.Addresses()[0], root, slog.New(slog.DiscardHandler))
}

func TestBrokerOverWebSocket(t *testing.T) {
	b := brokerBehind(t, func(address string) listeners.Listener {
		return listeners.NewWebsocket(listeners.Config{ID: "test", Address: address})
	}, new(auth.AllowHook))
	a := startAgent(t, "ws://"+b.address+"/mqtt", 1000)
	a.second("normal")
	eventually(t, 20*time.Second, "state", func() bool { return strings.Contains(b.retained(root+message.TopicState), "normal") })
}

// authenticator admits clients with the current password.
type authenticator struct {
	mochi.HookBase
	mu       sync.Mutex
	password string
	ids      []string // client ids in order of arrival
}

func (a *authenticator) ID() string { return "doorman" }
func (a *authenticator) Provides(what byte) bool {
	return what == mochi.OnConnectAuthenticate || what == mochi.OnACLCheck
}
func (a *authenticator) OnACLCheck(*mochi.Client, string, bool) bool { return true }
func (a *authenticator) OnConnectAuthenticate(c *mochi.Client, p packets.Packet) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids = append(a.ids, c.ID)
	return a.password == "" || string(p.Connect.Username) == "furnace-1" && string(p.Connect.Password) == a.password
}

func (a *authenticator) clientIDs() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.ids)
}

func plain(address string) listeners.Listener {
	return listeners.NewTCP(listeners.Config{ID: "test", Address: address})
}

func TestPasswordIsReadAtEachConnection(t *testing.T) {
	d := &authenticator{password: "old"}
	b := brokerBehind(t, plain, d)
	folder := t.TempDir()
	c := startSettings(b.url(), 1000)
	c.Username, c.PasswordFile = "furnace-1", put(t, folder, "password", []byte("wrong\n"))
	watch := &lastStatus{}
	startBy(t, c, NewMemory(1000), watch)
	eventually(t, 10*time.Second, "a refusal", func() bool { return watch.last() != nil })
	if err := watch.last(); strings.Contains(err.Error(), "wrong") {
		t.Errorf("the error repeats the password: %v", err)
	}
	put(t, folder, "password", []byte("old\n"))
	eventually(t, 20*time.Second, "online", func() bool { return b.retained(root+message.TopicAvailability) == "online" })
}

func severalSettings(urls ...string) config.MQTT {
	c := startSettings("", 1000)
	c.Brokers = map[string]config.Broker{}
	for i, url := range urls {
		c.Brokers[string(rune('a'+i))] = config.Broker{URL: url}
	}
	return c
}

func TestNextBrokerIsTriedAndTheFirstPreferred(t *testing.T) {
	first, second := newBroker(t), newBroker(t)
	first.down()
	a := startBy(t, severalSettings(first.url(), second.url()), NewMemory(1000), quiet{})
	a.second("normal")
	eventually(t, 10*time.Second, "online at the second", func() bool { return second.retained(root+message.TopicAvailability) == "online" })
	first.up()
	second.down()
	a.second("abnormal")
	eventually(t, 20*time.Second, "online at the first", func() bool {
		return first.retained(root+message.TopicAvailability) == "online" && strings.Contains(first.retained(root+message.TopicState), "abnormal")
	})
}

func TestNextBrokerIsTriedIfNothingIsAcknowledged(t *testing.T) {
	t.Parallel()
	deaf, _ := deafBroker(t)
	second := newBroker(t)
	a := startBy(t, severalSettings(deaf, second.url()), NewMemory(1000), quiet{})
	a.second("normal")
	eventually(t, 40*time.Second, "event at the second", func() bool { return len(seen(t, second, "event")) == 1 })
}

func TestRoundOfBrokers(t *testing.T) {
	r := NewRedial([]config.NamedBroker{{Name: "a"}, {Name: "b"}, {Name: "c"}})
	var order []string
	var waits []bool
	for _, good := range []bool{false, false, false, false, true, false} {
		order = append(order, r.Broker().Name)
		waits = append(waits, r.Next(good, time.Hour) > 0)
	}
	if got := fmt.Sprint(order, waits); got != "[a b c a b a] [false false true false true false]" {
		t.Errorf("got %s", got)
	}
}

func TestErrorNamesTheBroker(t *testing.T) {
	if err := try(t, severalSettings("tcp://127.0.0.1:1")); err == nil || !strings.Contains(err.Error(), "a at tcp://127.0.0.1:1") {
		t.Fatalf("got %v", err)
	}
}

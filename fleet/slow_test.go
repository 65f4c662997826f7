package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"meltwatch/agent/message"
	"meltwatch/simulator/broker"
)

// lateRetained brings each retained message some time after the one before, and the first
// so long after a subscription, as a cluster does that looks them up on other nodes.
type lateRetained struct {
	mochi.HookBase
	late time.Duration
}

func (*lateRetained) ID() string { return "late" }

func (*lateRetained) Provides(what byte) bool { return what == mochi.OnPacketEncode }

func (l *lateRetained) OnPacketEncode(_ *mochi.Client, p packets.Packet) packets.Packet {
	if p.FixedHeader.Type == packets.Publish && p.FixedHeader.Retain {
		time.Sleep(l.late)
	}
	return p
}

// longState is a state that the broker does not put into one packet with others.
var longState = `{"state": "normal", "more": "` + strings.Repeat("-", 4096) + `"}`

// slowBroker is a broker that is late with each retained topic, and knows a number of agents
// of one retained topic each. It returns its address and a client of it.
func slowBroker(t *testing.T, late time.Duration, agents int) (url string, box paho.Client, server *broker.Server) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	server, err = broker.Serve(listeners.NewTCP(listeners.Config{ID: "slow", Address: address}), new(auth.AllowHook), &lateRetained{late: late})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	box = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID("box"))
	done(t, box.Connect())
	t.Cleanup(func() { box.Disconnect(0) })
	for i := range agents {
		done(t, box.Publish(message.Root("test", fmt.Sprint("f", i))+message.TopicState, 1, true, longState))
	}
	return "tcp://" + address, box, server
}

func done(t *testing.T, token paho.Token) {
	t.Helper()
	if token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
}

// The agents of a broker that is slow with its retained topics are waited for, all of them.
func TestAgentsOfASlowBrokerAreListed(t *testing.T) {
	if testing.Short() {
		t.Skip("real time: left out by -short")
	}
	t.Parallel()
	url, _, _ := slowBroker(t, 2*quietPeriod, 3)
	var out output
	far := Fleet{Broker: Broker{URL: url, Wait: 10 * time.Second}, Out: &out}
	if err := far.List(t.Context(), "all", false); err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "test/f") != 3 {
		t.Errorf("listed: %s", out.String())
	}
}

// Agents that are not known yet would be passed by in silence.
func TestRetainedTopicsThatStillComeAreAnError(t *testing.T) {
	t.Parallel()
	url, _, _ := slowBroker(t, quietPeriod/8, 60) // a busy machine may stall for a while
	var out output
	hasty := Fleet{Broker: Broker{URL: url, Wait: 2 * quietPeriod}, Out: &out}
	err := hasty.List(t.Context(), "all", false)
	if err == nil || !strings.Contains(err.Error(), "give a longer --wait") || out.String() != "" {
		t.Errorf("%v: %s", err, out.String())
	}
}

// The states of running agents, which never end, are not waited for.
func TestRunningAgentsDoNotProlongTheWait(t *testing.T) {
	t.Parallel()
	url, box, _ := slowBroker(t, 0, 5)
	ended := make(chan struct{})
	var running sync.WaitGroup
	defer func() { close(ended); running.Wait() }()
	running.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-ended:
				return
			case <-time.After(quietPeriod / 8):
				box.Publish(message.Root("test", fmt.Sprint("f", i%5))+message.TopicState, 0, false, `{"state": "normal"}`)
			}
		}
	})
	var out output
	began, near := time.Now(), Fleet{Broker: Broker{URL: url, Wait: 20 * time.Second}, Out: &out}
	if err := near.List(t.Context(), "all", false); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second || strings.Count(out.String(), "test/f") != 5 {
		t.Errorf("took %s: %s", took, out.String())
	}
}

// What a slow broker keeps of an agent is cleared: it is not done before it has been seen.
func TestASlowBrokerForgets(t *testing.T) {
	if testing.Short() {
		t.Skip("real time: left out by -short")
	}
	t.Parallel()
	url, _, server := slowBroker(t, 2*quietPeriod, 1)
	topic := message.Root("test", "f0") + message.TopicState
	var out output
	far := Fleet{Broker: Broker{URL: url, Wait: 10 * time.Second}, Out: &out}
	if err := far.Forget(t.Context(), "test/f0", false, true, nil); err != nil || !strings.Contains(out.String(), topic) {
		t.Errorf("%v: %s", err, out.String())
	}
	if left := server.Topics.Messages(topic); len(left) > 0 {
		t.Errorf("the broker still keeps %s", left[0].TopicName)
	}
}

// An invalid pattern is an error at once, also before any agent is known.
func TestAnInvalidPatternIsRefused(t *testing.T) {
	t.Parallel()
	url, _, _ := slowBroker(t, 0, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var out output
	near := Fleet{Broker: Broker{URL: url, Wait: time.Millisecond}, Out: &out}
	if err := near.List(ctx, "all", false); err == nil || !strings.Contains(err.Error(), `no agent matches "all"; the broker knows 0`) {
		t.Errorf("all: %v", err)
	}
	for name, err := range map[string]error{"list": near.List(ctx, "plant/[", false), "watch": near.Watch(ctx, "plant/[")} {
		if err == nil || !strings.Contains(err.Error(), `pattern "plant/[": syntax error in pattern; write all`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// denies lets nobody read topics whose names hold a text, until an instant.
type denies struct {
	auth.AllowHook
	text  string
	until time.Time
}

func (d *denies) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	return write || !strings.Contains(topic, d.text) || time.Now().After(d.until)
}

// A busy broker that refuses a subscription at first is asked once more.
func TestABrokerThatRefusesAtFirstIsAskedAgain(t *testing.T) {
	t.Parallel()
	all, out, _ := denyingFor(t, "meltwatch", 500*time.Millisecond)
	if err := all.List(t.Context(), "all", false); err != nil || !strings.Contains(out.String(), "test/f0  offline") {
		t.Errorf("list: %v: %s", err, out.String())
	}
}

// denying is a broker that knows one agent and denies reading some topics.
func denying(t *testing.T, text string) (Fleet, *output, *broker.Server) {
	t.Helper()
	return denyingFor(t, text, time.Hour)
}

// denyingFor is one that denies for a while.
func denyingFor(t *testing.T, text string, lasts time.Duration) (Fleet, *output, *broker.Server) {
	t.Helper()
	l := listeners.NewTCP(listeners.Config{ID: "denies", Address: "127.0.0.1:0"})
	server, err := broker.Serve(l, &denies{text: text, until: time.Now().Add(lasts)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	if err := server.Publish(message.Root("test", "f0")+message.TopicAvailability, []byte("offline"), true, 1); err != nil {
		t.Fatal(err)
	}
	out := &output{}
	return Fleet{Broker: Broker{URL: "tcp://" + l.Address(), Wait: 30 * time.Second}, Out: out}, out, server
}

// What the broker's access list denies is told: nothing is known, and nothing is cleared.
func TestARefusedSubscriptionIsAnError(t *testing.T) {
	t.Parallel()
	all, _, server := denying(t, "meltwatch")
	began := time.Now()
	if err := all.List(t.Context(), "all", false); err == nil || !strings.Contains(err.Error(), "its access list must allow this user to read there") || time.Since(began) > 20*time.Second {
		t.Errorf("list: %v after %s", err, time.Since(began))
	}
	for left := time.Now().Add(5 * time.Second); server.Clients.Len() > 1; time.Sleep(10 * time.Millisecond) { // the broker's own is one
		if time.Now().After(left) {
			t.Fatalf("%d clients stay connected", server.Clients.Len())
		}
	}
	rest, out, _ := denying(t, "#")
	if err := rest.Forget(t.Context(), "test/f0", false, true, nil); err == nil || !strings.Contains(out.String(), "the broker refuses meltwatch/test/f0/#: its access list") {
		t.Errorf("forget: %v: %s", err, out.String())
	}
	some, out, _ := denying(t, "desired")
	if err := some.List(t.Context(), "all", false); err != nil || !strings.Contains(out.String(), "test/f0  offline") {
		t.Errorf("list of a reader: %v: %s", err, out.String())
	}
	err := some.SetConfig(t.Context(), "test/f0", json.RawMessage(`{"state": {"hold_seconds": 9}}`), Change{})
	if err == nil || !strings.Contains(err.Error(), "nothing is changed: the broker refuses meltwatch/+/+/config/desired") {
		t.Errorf("a change of what is unknown: %v", err)
	}
}

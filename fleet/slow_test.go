package fleet

import (
	"net"
	"strings"
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

// lateRetained brings retained messages some time after a subscription, as a cluster does
// that looks them up on other nodes.
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

// The agents of a broker that is slow with its retained topics are waited for.
func TestAgentsOfASlowBrokerAreListed(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	server, err := broker.Serve(listeners.NewTCP(listeners.Config{ID: "slow", Address: address}), new(auth.AllowHook), &lateRetained{late: 3 * quietPeriod})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID("box"))
	for _, step := range []func() paho.Token{
		client.Connect,
		func() paho.Token {
			return client.Publish(message.Root("test", "f1")+message.TopicAvailability, 1, true, "online")
		},
	} {
		if token := step(); token.Wait() && token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	client.Disconnect(250)
	var out output
	far := Fleet{Broker: Broker{URL: "tcp://" + address, Wait: 10 * time.Second}, Out: &out}
	if err := far.List(t.Context(), "all", false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "test/f1") {
		t.Errorf("listed: %s", out.String())
	}
}

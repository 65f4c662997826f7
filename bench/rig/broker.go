package rig

import (
	"context"
	"net"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	brokers "meltwatch/simulator/broker"
)

// Broker is a real broker in this process that can be taken away and brought back
// on its address. Each message is handed on before it is acknowledged.
type Broker struct {
	address string
	receive func(topic string, payload []byte)
	server  *brokers.Server
}

// StartBroker starts a broker that hands each message to receive.
func StartBroker(ctx context.Context, receive func(string, []byte)) (*Broker, error) {
	// The port must be known before the first outage, to come back to it.
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &Broker{address: l.Addr().String(), receive: receive}
	l.Close()
	return b, b.Up()
}

// URL is where clients connect.
func (b *Broker) URL() string { return "tcp://" + b.address }

// Up brings the broker back.
func (b *Broker) Up() (err error) {
	l := listeners.NewTCP(listeners.Config{ID: "bench", Address: b.address})
	b.server, err = brokers.Serve(l, new(auth.AllowHook), &listener{receive: b.receive})
	return err
}

// Down takes the broker away.
func (b *Broker) Down() error { return b.server.Close() }

// listener hears every message when it arrives, before its PUBACK leaves.
type listener struct {
	mochi.HookBase
	receive func(string, []byte)
}

// ID names the hook.
func (*listener) ID() string { return "bench" }

// Provides says what the hook wants to hear.
func (*listener) Provides(what byte) bool { return what == mochi.OnPublish }

// OnPublish hands a message on.
func (l *listener) OnPublish(_ *mochi.Client, p packets.Packet) (packets.Packet, error) {
	l.receive(p.TopicName, p.Payload)
	return p, nil
}

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

// Broker is a real broker in this process that can be stopped and restarted on the same
// address. It passes each message on before it acknowledges it.
type Broker struct {
	address string
	receive func(topic string, payload []byte)
	server  *brokers.Server
}

// StartBroker starts a broker that passes each message to receive.
func StartBroker(ctx context.Context, receive func(string, []byte)) (*Broker, error) {
	// The broker must return to this port after an outage.
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &Broker{address: l.Addr().String(), receive: receive}
	l.Close()
	return b, b.Up()
}

// URL is the broker's address for clients.
func (b *Broker) URL() string { return "tcp://" + b.address }

// Up starts the broker again.
func (b *Broker) Up() (err error) {
	l := listeners.NewTCP(listeners.Config{ID: "bench", Address: b.address})
	b.server, err = brokers.Serve(l, new(auth.AllowHook), &listener{receive: b.receive})
	return err
}

// Down stops the broker.
func (b *Broker) Down() error { return b.server.Close() }

// listener passes on every message before its PUBACK is sent.
type listener struct {
	mochi.HookBase
	receive func(string, []byte)
}

// ID is part of mochi.Hook.
func (*listener) ID() string { return "bench" }

// Provides is part of mochi.Hook.
func (*listener) Provides(what byte) bool { return what == mochi.OnPublish }

// OnPublish passes a message on.
func (l *listener) OnPublish(_ *mochi.Client, p packets.Packet) (packets.Packet, error) {
	l.receive(p.TopicName, p.Payload)
	return p, nil
}

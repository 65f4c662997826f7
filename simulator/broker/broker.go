// Package broker is a real MQTT broker within one process, and a subscriber, for the
// demo, benchmarks and tests.
package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Server is a running broker.
type Server struct{ *mochi.Server }

// Close disconnects the clients and stops the broker. The library's own Close (v2.7.9)
// may hang: it counts its clients under a lock that it already holds for reading, and a
// client that leaves between the two waits to write. Here the listeners are closed first,
// and the clients are listed under one lock.
func (s *Server) Close() error {
	s.Listeners.CloseAll(s.disconnectAll)
	return s.Server.Close()
}

func (s *Server) disconnectAll(listener string) {
	for _, c := range s.Clients.GetAll() {
		if c.Net.Listener == listener && !c.Closed() {
			// The client is stopped even if the packet cannot be sent.
			_ = s.DisconnectClient(c, packets.ErrServerShuttingDown)
		}
	}
}

// Serve starts a broker behind a listener. It admits every client unless hooks decide
// otherwise. The caller closes the server.
func Serve(l listeners.Listener, hooks ...mochi.Hook) (*Server, error) {
	server := &Server{mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})}
	if len(hooks) == 0 {
		hooks = []mochi.Hook{new(auth.AllowHook)}
	}
	// The lock comes last: a later hook could refuse a message that it has locked for.
	for _, hook := range append(hooks, new(retainedLock)) {
		if err := server.AddHook(hook, nil); err != nil {
			return nil, fmt.Errorf("broker: %w", err)
		}
	}
	if err := errors.Join(server.AddListener(l), server.Serve()); err != nil {
		return nil, fmt.Errorf("broker: %w", errors.Join(err, server.Close()))
	}
	return server, nil
}

// Local starts a broker that admits every client on a free port of the loopback
// interface, and returns its URL.
func Local() (*Server, string, error) {
	l := listeners.NewTCP(listeners.Config{ID: "local", Address: "127.0.0.1:0"})
	server, err := Serve(l)
	if err != nil {
		return nil, "", err
	}
	return server, "tcp://" + l.Address(), nil
}

// Subscribe connects to a broker and calls take with every message below a filter, one
// at a time, until the client is disconnected.
func Subscribe(url, id, filter string, take func(topic string, payload []byte)) (paho.Client, error) {
	client := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID(id).SetAutoReconnect(false))
	receive := func(_ paho.Client, m paho.Message) { take(m.Topic(), m.Payload()) }
	for _, step := range []func() paho.Token{
		client.Connect,
		func() paho.Token { return client.Subscribe(filter, 1, receive) },
	} {
		token := step()
		if !token.WaitTimeout(answerTimeout) {
			return nil, fmt.Errorf("subscribe at %s: no answer within %s", url, answerTimeout)
		}
		if err := token.Error(); err != nil {
			return nil, fmt.Errorf("subscribe at %s: %w", url, err)
		}
	}
	return client, nil
}

// answerTimeout bounds each answer of the broker to Subscribe.
const answerTimeout = 10 * time.Second

// retainedLock separates a subscription's read of the retained messages from a write to
// them. The library (v2.7.9) does both without a lock:
// https://github.com/mochi-mqtt/server/issues/200.
//
// A message is written between OnPublish, or OnWill, and OnRetainMessage; a subscription
// reads between OnSubscribed and OnPacketProcessed, on the client's own goroutine. Both
// pass messages to a queue, so neither holds the lock for long. The end of an inline
// subscription is invisible to a hook: subscribe inline before clients connect.
type retainedLock struct {
	mochi.HookBase
	mu sync.RWMutex
}

// ID is part of mochi.Hook.
func (*retainedLock) ID() string { return "retained-lock" }

// Provides is part of mochi.Hook.
func (*retainedLock) Provides(what byte) bool {
	switch what {
	case mochi.OnPublish, mochi.OnWill, mochi.OnRetainMessage, mochi.OnSubscribed, mochi.OnPacketProcessed:
		return true
	}
	return false
}

// OnPublish locks before a message is retained.
func (r *retainedLock) OnPublish(_ *mochi.Client, p packets.Packet) (packets.Packet, error) {
	if p.FixedHeader.Retain && !p.Ignore {
		r.mu.Lock()
	}
	return p, nil
}

// OnWill locks before a will is retained. The library calls no hook before it retains a
// delayed will, so this broker delays none.
func (r *retainedLock) OnWill(_ *mochi.Client, w mochi.Will) (mochi.Will, error) {
	w.WillDelayInterval = 0
	if w.Retain {
		r.mu.Lock()
	}
	return w, nil
}

// OnRetainMessage unlocks when the message has been retained.
func (r *retainedLock) OnRetainMessage(*mochi.Client, packets.Packet, int64) { r.mu.Unlock() }

// OnSubscribed locks before a new subscription receives the retained messages.
func (r *retainedLock) OnSubscribed(c *mochi.Client, _ packets.Packet, _ []byte) {
	if !c.Net.Inline {
		r.mu.RLock()
	}
}

// OnPacketProcessed unlocks when the subscription has received them.
func (r *retainedLock) OnPacketProcessed(c *mochi.Client, p packets.Packet, _ error) {
	if p.FixedHeader.Type == packets.Subscribe && !c.Net.Inline {
		r.mu.RUnlock()
	}
}

// Package broker is a real MQTT broker within one process, for the demo, benchmarks and tests.
package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Server is a running broker.
type Server struct{ *mochi.Server }

// Close sends the clients away and ends. By the library alone (v2.7.9) it may hang: that
// counts its clients under a lock which it holds for reading already, and a client that
// goes at this moment waits in between to write. So the listeners are closed here, which
// happens once, and clients listed under one lock.
func (s *Server) Close() error {
	s.Listeners.CloseAll(s.sendAway)
	return s.Server.Close()
}

func (s *Server) sendAway(listener string) {
	for _, c := range s.Clients.GetAll() {
		if c.Net.Listener == listener && !c.Closed() {
			// Whatever it answers, it is stopped.
			_ = s.DisconnectClient(c, packets.ErrServerShuttingDown)
		}
	}
}

// Serve starts a broker behind a listener. It admits everybody unless hooks decide who may come.
// The caller closes the server.
func Serve(l listeners.Listener, hooks ...mochi.Hook) (*Server, error) {
	server := &Server{mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})}
	if len(hooks) == 0 {
		hooks = []mochi.Hook{new(auth.AllowHook)}
	}
	// Last: a hook behind it could refuse a message that it has locked for.
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

// Local starts a broker on a free port of loopback that admits everybody, and gives its URL.
func Local() (*Server, string, error) {
	l := listeners.NewTCP(listeners.Config{ID: "local", Address: "127.0.0.1:0"})
	server, err := Serve(l)
	if err != nil {
		return nil, "", err
	}
	return server, "tcp://" + l.Address(), nil
}

// retainedLock keeps a subscription's walk through the retained messages and the
// retaining of a message apart, which the library (v2.7.9) does without a lock:
// https://github.com/mochi-mqtt/server/issues/200.
//
// A message is written between OnPublish, or OnWill, and OnRetainMessage; the walk
// lies between OnSubscribed and OnPacketProcessed, all on the client's own goroutine.
// Neither hands a message to a client meanwhile, but to a queue: nobody waits long.
// An inline subscription has no end that a hook could see: subscribe before clients come.
type retainedLock struct {
	mochi.HookBase
	mu sync.RWMutex
}

// ID names the hook.
func (*retainedLock) ID() string { return "retained-lock" }

// Provides says what the hook wants to hear.
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

// OnWill locks before a will is retained. A delayed one would be retained with no hook before
// it, so this broker delays none.
func (r *retainedLock) OnWill(_ *mochi.Client, w mochi.Will) (mochi.Will, error) {
	w.WillDelayInterval = 0
	if w.Retain {
		r.mu.Lock()
	}
	return w, nil
}

// OnRetainMessage unlocks when the message has been retained.
func (r *retainedLock) OnRetainMessage(*mochi.Client, packets.Packet, int64) { r.mu.Unlock() }

// OnSubscribed locks before a new subscription is sent what is retained.
func (r *retainedLock) OnSubscribed(c *mochi.Client, _ packets.Packet, _ []byte) {
	if !c.Net.Inline {
		r.mu.RLock()
	}
}

// OnPacketProcessed unlocks when the subscription has been served.
func (r *retainedLock) OnPacketProcessed(c *mochi.Client, p packets.Packet, _ error) {
	if p.FixedHeader.Type == packets.Subscribe && !c.Net.Inline {
		r.mu.RUnlock()
	}
}

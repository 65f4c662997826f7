package mqtt

import (
	"strconv"
	"strings"
	"sync"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// acks notes which message ids were acknowledged on one connection. It is paho's
// message store of that connection: paho deletes an outbound message from
// its store when the PUBACK for it is read, and at no other time while the
// connection is new and its session clean. A token cannot serve: it also
// completes, without an error, when the connection is lost.
type acks struct {
	paho.Store
	mu    sync.Mutex
	acked []uint16
	// news holds one element when acked may have grown.
	news chan struct{}
}

func newAcks() *acks {
	return &acks{Store: paho.NewMemoryStore(), news: make(chan struct{}, 1)}
}

// Del is called by paho when a message is acknowledged.
func (a *acks) Del(key string) {
	a.Store.Del(key)
	number, outbound := strings.CutPrefix(key, "o.")
	id, err := strconv.ParseUint(number, 10, 16)
	if !outbound || err != nil {
		return // an incoming message's entry
	}
	a.mu.Lock()
	a.acked = append(a.acked, uint16(id))
	a.mu.Unlock()
	select {
	case a.news <- struct{}{}:
	default:
	}
}

// take returns the ids acknowledged since the last cala.
func (a *acks) take() []uint16 {
	a.mu.Lock()
	defer a.mu.Unlock()
	acked := a.acked
	a.acked = nil
	return acked
}

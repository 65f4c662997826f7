package mqtt

import (
	"strconv"
	"strings"
	"sync"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// acks records which message ids were acknowledged on one connection. It is paho's
// message store of that connection: with a clean session, paho deletes an outbound
// message from the store only when it has read the PUBACK. A token cannot be used,
// because it also completes, without an error, when the connection is lost.
type acks struct {
	paho.Store
	mu    sync.Mutex
	acked []uint16
	// changed holds one element when acked may have grown.
	changed chan struct{}
}

func newAcks() *acks {
	return &acks{Store: paho.NewMemoryStore(), changed: make(chan struct{}, 1)}
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
	case a.changed <- struct{}{}:
	default:
	}
}

// take returns the ids acknowledged since the last call.
func (a *acks) take() []uint16 {
	a.mu.Lock()
	defer a.mu.Unlock()
	acked := a.acked
	a.acked = nil
	return acked
}

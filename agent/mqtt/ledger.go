package mqtt

import (
	"strconv"
	"strings"
	"sync"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// ledger notes which message ids were acknowledged on one connection. It is
// paho's message store of that connection: paho deletes an outbound message from
// its store when the PUBACK for it is read, and at no other time while the
// connection is new and its session clean. A token cannot serve: it also
// completes, without an error, when the connection is lost.
type ledger struct {
	paho.Store
	mu    sync.Mutex
	acked []uint16
	// news holds one element when acked may have grown.
	news chan struct{}
}

func newLedger() *ledger {
	return &ledger{Store: paho.NewMemoryStore(), news: make(chan struct{}, 1)}
}

// Del is called by paho when a message is acknowledged.
func (l *ledger) Del(key string) {
	l.Store.Del(key)
	number, outbound := strings.CutPrefix(key, "o.")
	id, err := strconv.ParseUint(number, 10, 16)
	if !outbound || err != nil {
		return // an incoming message's entry
	}
	l.mu.Lock()
	l.acked = append(l.acked, uint16(id))
	l.mu.Unlock()
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// take returns the ids acknowledged since the last call.
func (l *ledger) take() []uint16 {
	l.mu.Lock()
	defer l.mu.Unlock()
	acked := l.acked
	l.acked = nil
	return acked
}

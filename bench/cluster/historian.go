package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/agent/message"
)

// historian receives everything by one persistent session, as a plant's recorder does: what
// comes while it is connected to no node waits in the cluster.
type historian struct {
	client paho.Client

	mu       sync.Mutex
	fleet    map[string]*furnace // by root
	seen     map[string]time.Time
	online   map[string]string // the newest availability by root
	messages int
	bytes    int
	strange  []string        // topics of no furnace
	quiet    map[string]bool // roots of furnaces that are waited for no longer
	timing   bool
	age      []time.Duration // of states, while timing
}

func newHistorian() *historian {
	return &historian{fleet: map[string]*furnace{}, seen: map[string]time.Time{}, online: map[string]string{}, quiet: map[string]bool{}}
}

// connect subscribes before the fleet starts, so that nothing is published unseen.
func (h *historian) connect(addresses []string) error {
	options := paho.NewClientOptions().SetClientID("historian").SetCleanSession(false).SetAutoReconnect(true).
		SetConnectRetry(true).SetConnectRetryInterval(time.Second).SetMaxReconnectInterval(time.Second).SetKeepAlive(keepAlive).
		SetPingTimeout(keepAlive / 2).SetOrderMatters(true)
	for _, address := range addresses {
		options.AddBroker("tcp://" + address)
	}
	options.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { h.receive(m.Topic(), m.Payload()) })
	h.client = paho.NewClient(options)
	if t := h.client.Connect(); !t.WaitTimeout(time.Minute) || t.Error() != nil {
		return fmt.Errorf("the historian does not connect: %w", t.Error())
	}
	if t := h.client.Subscribe("meltwatch/"+site+"/#", 1, nil); !t.WaitTimeout(time.Minute) || t.Error() != nil {
		return fmt.Errorf("the historian does not subscribe: %w", t.Error())
	}
	return nil
}

func (h *historian) watch(f *fleet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range f.furnaces {
		h.fleet[one.root] = one
	}
}

// forget waits for the furnaces of a fleet no longer. What comes from them still counts.
func (h *historian) forget(f *fleet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range f.furnaces {
		h.quiet[one.root] = true
	}
}

// timeAge begins or ends the timing of states, and returns the ages of those that came in
// between.
func (h *historian) timeAge(on bool) (age []time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	age, h.age, h.timing = h.age, nil, on
	return age
}

func (h *historian) receive(topic string, payload []byte) {
	root := rootOf(topic)
	h.mu.Lock()
	h.messages++
	h.bytes += len(topic) + len(payload)
	one := h.fleet[root]
	switch topic {
	case root + message.TopicState:
		now := time.Now()
		h.seen[root] = now
		var stamp message.Stamp
		if h.timing && json.Unmarshal(payload, &stamp) == nil {
			h.age = append(h.age, now.Sub(stamp.Time))
		}
	case root + message.TopicAvailability:
		h.online[root] = string(payload)
	}
	if one == nil && len(h.strange) < 10 {
		h.strange = append(h.strange, topic)
	}
	h.mu.Unlock()
	if one != nil {
		one.ledger.Receive(topic, payload)
	}
}

// rootOf is the part of a topic up to the furnace, with its slash.
func rootOf(topic string) string {
	parts := strings.SplitAfterN(topic, "/", 4)
	if len(parts) < 4 {
		return topic
	}
	return parts[0] + parts[1] + parts[2]
}

// counted returns how many messages and bytes have come.
func (h *historian) counted() (messages, bytes int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.messages, h.bytes
}

// silent counts furnaces without a live state since an instant.
func (h *historian) silent(since time.Time) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for root := range h.fleet {
		if !h.quiet[root] && !h.seen[root].After(since) {
			n++
		}
	}
	return n
}

func (h *historian) availability(root string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.online[root]
}

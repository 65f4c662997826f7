package mqtt

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
)

func (p *Publisher) setConnected(connected bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connected = connected
}

// giveBack returns to the outbox what a lost connection left unacknowledged,
// then what was still waiting to be sent, in the order in which it was made.
func (p *Publisher) giveBack(inFlight map[uint64]sent) {
	messages := slices.SortedFunc(maps.Values(inFlight), func(a, b sent) int { return cmp.Compare(a.order, b.order) })
	p.mu.Lock()
	defer p.mu.Unlock()
	var unsent []Record
	for _, m := range messages {
		unsent = append(unsent, m.records...)
	}
	unsent = append(unsent, p.live...)
	p.live = nil
	p.outbox.Return(slices.DeleteFunc(unsent, func(r Record) bool { return !r.Keep }))
}

// backlog reports whether history waits.
func (p *Publisher) backlog() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.outbox.Waiting()
}

// late marks a JSON object as history.
func late(object []byte) []byte {
	return append(bytes.TrimSuffix(slices.Clone(object), []byte("}")), `,"historical":true}`...)
}

// Current is the message of topic current and history/current.
type Current struct {
	Version    int               `json:"v"`
	Samples    []json.RawMessage `json:"samples"` // Sample, oldest first
	Historical bool              `json:"historical,omitempty"`
}

// packed makes one message of samples; the records hold valid JSON, so encoding
// cannot fail.
func packed(records []Record, historical bool) []byte {
	var b bytes.Buffer
	b.WriteString(`{"v":1,`)
	if historical {
		b.WriteString(`"historical":true,`)
	}
	b.WriteString(`"samples":[`)
	for i, r := range records {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(r.Payload)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

package simtest

import (
	"bytes"
	"slices"
	"time"
)

// network simulates the network and the broker.
type network struct {
	*loop
	records *records
	up      bool
	silent  bool // a lost connection shows only by missing acknowledgements
	deaf    bool // the broker receives but does not acknowledge
	latency time.Duration
	wire    *wire // the connection, or nil
	// ackEarly is a planted bug: a sent message counts as acknowledged.
	ackEarly bool
}

// wire is one connection. Packets arrive in order, or not at all.
type wire struct {
	network *network
	process *process
	dead    bool
	acked   bool // a message was acknowledged
	ids     uint16
	going   []packet // to the broker
	coming  []packet // acknowledgements
	unacked map[uint16]int
}

// packet is a message or its acknowledgement.
type packet struct {
	due     time.Time
	id      uint16
	topic   string
	payload []byte
	records int
}

// Publish sends a message over the wire.
func (w *wire) Publish(topic string, _ bool, payload []byte) (id uint16) {
	n := w.network
	if w.dead && n.chance(0.5) {
		return 0 // the loss is known
	}
	w.ids++
	p := packet{time.Now().Add(n.latency), w.ids, topic, payload, bytes.Count(payload, []byte(`"seq":`))}
	w.unacked[p.id] = p.records
	n.records.leaves(payload)
	if n.ackEarly {
		n.after(0, func() { w.acknowledged(p) })
	}
	if w.dead {
		return p.id
	}
	w.going = append(w.going, p)
	if len(w.going) == 1 {
		n.after(n.latency, w.arrive)
	}
	return p.id
}

// arrive delivers the due packets to the broker.
func (w *wire) arrive() {
	n := w.network
	for len(w.going) > 0 && !w.going[0].due.After(time.Now()) {
		p := w.going[0]
		w.going = slices.Delete(w.going, 0, 1)
		n.records.receive(p.topic, p.payload)
		if n.deaf {
			continue
		}
		p.due = time.Now().Add(n.latency)
		w.coming = append(w.coming, p)
		if len(w.coming) == 1 {
			n.after(n.latency, w.bringBack)
		}
	}
	if len(w.going) > 0 {
		n.after(time.Until(w.going[0].due), w.arrive)
	}
}

// bringBack delivers the due acknowledgements.
func (w *wire) bringBack() {
	for len(w.coming) > 0 && !w.coming[0].due.After(time.Now()) {
		p := w.coming[0]
		w.coming = slices.Delete(w.coming, 0, 1)
		w.acknowledged(p)
	}
	if len(w.coming) > 0 {
		w.network.after(time.Until(w.coming[0].due), w.bringBack)
	}
}

func (w *wire) acknowledged(p packet) {
	if w.process == nil {
		return
	}
	w.acked = true
	w.network.records.acked(w.unacked[p.id])
	delete(w.unacked, p.id)
	w.process.acknowledged(p.id)
}

// cut drops all packets, in both directions.
func (w *wire) cut() {
	w.dead, w.going, w.coming = true, nil, nil
}

// dial makes a connection if the network is up.
func (n *network) dial(b *process) *wire {
	if !n.up {
		return nil
	}
	n.wire = &wire{network: n, process: b, unacked: map[uint16]int{}}
	return n.wire
}

// lose ends the connection. The agent notices it at once or later.
func (n *network) lose() {
	w := n.wire
	if w == nil || w.dead {
		return
	}
	w.cut()
	if !n.silent {
		n.after(n.latency, func() { w.noticed() })
		return
	}
	n.after(n.between(time.Second, 15*time.Second), func() { w.noticed() })
}

func (w *wire) noticed() {
	if w.process != nil {
		w.process.disconnected(w)
	}
}

// leave closes the connection at the agent.
func (w *wire) leave() (unacked int) {
	w.cut()
	w.process = nil
	for _, records := range w.unacked {
		unacked += records
	}
	return unacked
}

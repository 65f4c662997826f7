// Package mqtt publishes what the agent knows and owns every topic and payload.
//
// While a broker is connected, records go out as they are made, on their live
// topics. What was made in an outage, or sent and never acknowledged, waits in
// the outbox and goes out afterwards on history/… topics with "historical":
// true, live records first. An event is in the outbox before it goes out at all;
// state and current go there only when they are not acknowledged within a
// second. A record counts as delivered when its PUBACK arrives
// on the connection that sent it and not before; within a class and a stream
// first deliveries are in (boot, seq) order, and a repeated one has the same
// (boot, seq).
//
// One paho client serves one connection and is then thrown away: paho's own
// reconnection and session resumption are off, because their acknowledgements
// cannot be told from those of an earlier connection.
//
// Lost when the agent dies or power fails: at most the last two seconds of state
// and current, and with a Memory outbox all that waits. Dropped and counted: what
// the outbox drops when it is full, and the oldest of the least worthy class of
// what waits for an outbox that hangs.
package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/mqtt"
	"meltwatch/agent/stamp"
	"meltwatch/config"
)

// Observer is told how the connection fares.
type Observer interface {
	Beat()
	OK()
	Fault(error)
	Count(map[string]uint64)
}

// Publisher is the agent's end of the broker.
type Publisher struct {
	settings config.MQTT
	root     string
	stamper  *stamp.Stamper // puts records right whose clock was not yet
	log      *slog.Logger
	observer Observer

	mu        sync.Mutex
	connected bool
	fresh     []*record         // to be kept, not yet in the outbox, oldest first; bounded by settings.Queue
	live      []*record         // to be sent on the live topics, oldest first; bounded by maxLive
	history   []*record         // taken from the outbox, to be sent; bounded by prefetch
	acks      numbers           // of the outbox: acknowledged, for the keeper to tell it
	returns   numbers           // of the outbox: no longer held, likewise
	stock     map[string]uint64 // the outbox's counters
	retained  map[string][]byte // the newest payload of each retained topic
	changed   map[string]bool   // retained topics published outside the classes
	published uint64
	acked     uint64
	redials   uint64
	overrun   uint64 // records that waited for the outbox in vain
	spoken    bool   // a broker has our health
	other     other
	// What is known of the broker that is connected, or was last.
	limit     *brokerLimit
	limits    map[string]*brokerLimit // by URL
	probing   probing
	broker    string    // its name and URL, for errors
	kept      *tooLarge // the newest message that it refused, nil for none
	keptBack  uint64    // such messages
	aside     []*record // of them, those that the outbox has
	announced time.Time // when availability was last said
	echo      echo
	faulty    bool // the observer was told what the broker does not do

	control control
	// renewEvery and clearedAfter are the constants; tests are in a hurry.
	renewEvery, clearedAfter time.Duration
	lastState                time.Time // when a state was last kept for history
	outbox                   Outbox    // the keeper's alone
	stocked                  time.Time // when its counters were last taken; likewise
	news                     chan struct{}
	work                     chan struct{} // for the keeper
}

const (
	// maxLive bounds what waits for a connected but slow broker; beyond it
	// records become history.
	maxLive = 256
	// historyEvery is how often an unchanged state is kept through an outage.
	historyEvery = 10 * time.Second
)

// New returns a publisher for the furnace whose topics start with root.
func New(settings config.MQTT, root string, stamper *stamp.Stamper, outbox Outbox, log *slog.Logger, observer Observer) *Publisher {
	p := &Publisher{
		settings: settings, root: root, stamper: stamper, log: log, observer: observer, outbox: outbox,
		acks: numbers{}, returns: numbers{}, renewEvery: mqtt.RenewEvery,
		retained: map[string][]byte{}, changed: map[string]bool{},
		news: make(chan struct{}, 1), work: make(chan struct{}, 1),
		limits: map[string]*brokerLimit{},
	}
	p.limit = p.limitOf("")
	p.SubscribeRetained(message.TopicAvailability, p.onAvailability)
	return p
}

// State publishes a state. changed says that it is not a repetition.
func (p *Publisher) State(s message.State, changed bool) {
	payload := p.encode(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	keep := changed || time.Since(p.lastState) >= historyEvery
	if keep {
		p.lastState = time.Now()
	}
	p.retained[message.TopicState] = payload
	p.add(&record{class: message.ClassState, payload: payload, made: time.Now(), keep: keep})
}

// Sample publishes one reading of the current.
func (p *Publisher) Sample(s message.Sample) { p.record(message.ClassCurrent, s) }

// Event publishes an event.
func (p *Publisher) Event(e message.Event) { p.record(message.ClassEvent, e) }

func (p *Publisher) record(class message.Class, value any) {
	payload := p.encode(value)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(&record{class: class, payload: payload, made: time.Now(), keep: true})
}

// Health publishes how the parts fare; only the newest one counts.
func (p *Publisher) Health(h message.Health) {
	h.Goroutines, h.Instance = runtime.NumGoroutine(), p.stamper.Instance()
	payload := p.encode(h)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retained[message.TopicHealth] = payload
	p.changed[message.TopicHealth] = true
	p.wake()
}

// encode cannot fail for the payload types: they hold no channel, function or
// cycle, and the agent puts no NaN in them. Should it fail all the same, the
// fault is logged and an empty object takes the record's place.
func (p *Publisher) encode(value any) []byte {
	payload, err := json.Marshal(value)
	if err != nil {
		p.log.Error("payload not encoded", "type", fmt.Sprintf("%T", value), "err", err)
		return []byte("{}")
	}
	return payload
}

// add is called with the lock held.
func (p *Publisher) add(r *record) {
	if r.class != message.ClassEvent { // which waits for the outbox
		r.sending = p.sendLive(r)
	}
	if !r.keep {
		return
	}
	p.fresh = append(p.fresh, r)
	if len(p.fresh) > p.settings.Queue {
		p.overflow()
	}
	if r.class == message.ClassEvent {
		p.wakeSpooler()
	}
}

// sendLive queues a record for the live topics; false where it cannot go there.
func (p *Publisher) sendLive(r *record) bool {
	if !p.connected || len(p.live) >= maxLive {
		return false
	}
	p.live = append(p.live, r)
	p.wake()
	return true
}

// overflow drops the oldest of the least worthy class of what waits for the
// outbox: a disk that hangs must not cost the memory of the box.
func (p *Publisher) overflow() {
	for _, class := range slices.Backward(message.Classes()) {
		i := slices.IndexFunc(p.fresh, func(r *record) bool { return r.class == class })
		if i >= 0 {
			p.fresh = slices.Delete(p.fresh, i, i+1)
			p.overrun++
			return
		}
	}
}

func (p *Publisher) wake() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

func (p *Publisher) wakeSpooler() {
	select {
	case p.work <- struct{}{}:
	default:
	}
}

// Run keeps a connection to the broker until ctx ends, then says goodbye. What
// is not acknowledged by then is in the outbox when it returns.
func (p *Publisher) Run(ctx context.Context) error {
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	var keeper sync.WaitGroup
	keeper.Go(func() { p.spool(keeping) })
	err := p.redial(ctx)
	stop()
	keeper.Wait()
	return err
}

// Counters of the publisher and its outbox.
func (p *Publisher) Counters() map[string]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	counters := map[string]uint64{
		"published": p.published, "acked": p.acked, "redials": p.redials, "overrun": p.overrun, "kept_back": p.keptBack,
		"fresh": uint64(len(p.fresh)), "dropped_answers": p.droppedAnswers(),
	}
	maps.Copy(counters, p.stock)
	return counters
}

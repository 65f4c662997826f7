// Package delivery publishes records until a broker has acknowledged them, also after
// an outage.
//
// While a broker is connected, records are published as they are made, on their live
// topics. Records that were made in an outage, or were never acknowledged, wait in the
// outbox. They are published afterwards on history/… topics with "historical": true;
// live records have priority. An event is stored in the outbox before it is published.
// State and current are stored only if they are not acknowledged within a second. A
// record counts as delivered when its PUBACK arrives on the connection that sent it,
// and not before. Within a class and a stream, first deliveries are in (boot, seq)
// order; a repeated record has the same (boot, seq).
//
// Package mqtt makes the connections, and package outbox stores records on disk.
//
// If the agent is killed or power fails, at most the last two seconds of state and
// current are lost, and with a Memory outbox all waiting records. Records are dropped,
// and counted, when the outbox is full, or when too many wait for an outbox that hangs:
// then the oldest of the class with the lowest priority.
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

// Observer receives the health of the connection.
type Observer interface {
	Beat()
	OK()
	Fault(error)
	Count(map[string]uint64)
}

// Publisher publishes records to a broker and receives messages from it.
type Publisher struct {
	settings config.MQTT
	root     string
	stamper  *stamp.Stamper // corrects records made before the clock was set
	log      *slog.Logger
	observer Observer
	// Trace, unless nil, is called with each record as it is made; kept reports whether
	// the record is also delivered after an outage. It must not call the publisher. Set
	// it before Run.
	Trace func(class message.Class, payload []byte, kept bool)

	mu             sync.Mutex
	connected      bool
	fresh          []*record         // to be stored in the outbox, oldest first; bounded by settings.Queue
	live           []*record         // to be sent on the live topics, oldest first; bounded by maxLive
	history        []*record         // taken from the outbox, to be sent; bounded by prefetch
	acks           numbers           // records in the outbox that were acknowledged, for the spooler
	returns        numbers           // records that the spooler must read from the outbox again
	outboxCounters map[string]uint64 // the outbox's counters
	retained       map[string][]byte // the newest payload of each retained topic
	changed        map[string]bool   // retained topics published outside the classes
	published      uint64
	acked          uint64
	redials        uint64
	overrun        uint64 // records dropped because the outbox hangs
	healthAcked    bool   // a broker has acknowledged our health
	other          other
	// The fields up to faulty describe the broker that is connected, or was last.
	limit     *brokerLimit
	limits    map[string]*brokerLimit // by URL
	probing   probing
	broker    string    // its name and URL, for errors
	kept      *tooLarge // the newest message that it refused, nil for none
	keptBack  uint64    // number of refused messages
	setAside  []*record // refused records that are in the outbox
	announced time.Time // when availability was last published
	echo      echo
	faulty    bool // a fault of the broker was reported to the observer

	control control
	// renewEvery and clearedAfter are mqtt's constants; tests shorten them.
	renewEvery, clearedAfter time.Duration
	lastState                time.Time // when a state was last kept for history
	outbox                   Outbox    // used by the spooler only
	countersRead             time.Time // when its counters were last read; used by the spooler only
	settled                  time.Time // when acknowledgements were last passed to it; used by the spooler only
	wakeup                   chan struct{}
	spoolerWakeup            chan struct{} // wakes the spooler
}

const (
	// maxLive bounds the records that wait for a slow broker; beyond it records become
	// history.
	maxLive = 256
	// historyEvery is the interval at which an unchanged state is stored in an outage.
	historyEvery = 10 * time.Second
)

// New returns a publisher for the furnace whose topics start with root.
func New(settings config.MQTT, root string, stamper *stamp.Stamper, outbox Outbox, log *slog.Logger, observer Observer) *Publisher {
	p := &Publisher{
		settings: settings, root: root, stamper: stamper, log: log, observer: observer, outbox: outbox,
		acks: numbers{}, returns: numbers{}, renewEvery: mqtt.RenewEvery,
		retained: map[string][]byte{}, changed: map[string]bool{},
		wakeup: make(chan struct{}, 1), spoolerWakeup: make(chan struct{}, 1),
		limits: map[string]*brokerLimit{},
	}
	p.limit = p.limitOf("")
	p.SubscribeRetained(message.TopicAvailability, p.onAvailability)
	return p
}

// State publishes a state. changed reports whether it is not a repetition.
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

// Health publishes the health of the parts. Only the newest one counts.
func (p *Publisher) Health(h message.Health) {
	h.Goroutines, h.Instance = runtime.NumGoroutine(), p.stamper.Instance()
	payload := p.encode(h)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retained[message.TopicHealth] = payload
	p.changed[message.TopicHealth] = true
	p.wake()
}

// encode cannot fail for the payload types: they hold no channel, function or cycle,
// and the agent puts no NaN in them. If it fails nevertheless, the error is logged and
// an empty object is published.
func (p *Publisher) encode(value any) []byte {
	payload, err := json.Marshal(value)
	if err != nil {
		p.log.Error("payload not encoded", "type", fmt.Sprintf("%T", value), "err", err)
		return []byte("{}")
	}
	return payload
}

// add queues a record. The lock is held.
func (p *Publisher) add(r *record) {
	if p.Trace != nil {
		p.Trace(r.class, r.payload, r.keep)
	}
	if r.class != message.ClassEvent { // an event is stored in the outbox first
		r.sending = p.sendLive(r)
	}
	if !r.keep {
		return
	}
	p.fresh = append(p.fresh, r)
	if len(p.fresh) > p.settings.Queue {
		p.overflow()
	}
	if r.class == message.ClassEvent || len(p.fresh) == p.settings.Queue/2 { // many may be acknowledged by now
		p.wakeSpooler()
	}
}

// sendLive queues a record for the live topics. It returns false if the record cannot
// be sent now.
func (p *Publisher) sendLive(r *record) bool {
	if !p.connected || len(p.live) >= maxLive {
		return false
	}
	p.live = append(p.live, r)
	p.wake()
	return true
}

// overflow drops the oldest record of the class with the lowest priority from those
// that wait for the outbox: a disk that hangs must not use up the memory.
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
	case p.wakeup <- struct{}{}:
	default:
	}
}

func (p *Publisher) wakeSpooler() {
	select {
	case p.spoolerWakeup <- struct{}{}:
	default:
	}
}

// Run keeps a connection to the broker until ctx ends, then publishes offline.
// Unacknowledged records are in the outbox when it returns.
func (p *Publisher) Run(ctx context.Context) error {
	spooling, stop := context.WithCancel(context.WithoutCancel(ctx))
	var spooler sync.WaitGroup
	spooler.Go(func() { p.spool(spooling) })
	err := p.redial(ctx)
	stop()
	spooler.Wait()
	return err
}

// Counters returns the counters of the publisher and its outbox.
func (p *Publisher) Counters() map[string]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	counters := map[string]uint64{
		"published": p.published, "acked": p.acked, "redials": p.redials, "overrun": p.overrun, "kept_back": p.keptBack,
		"fresh": uint64(len(p.fresh)), "dropped_answers": p.droppedAnswers(),
	}
	maps.Copy(counters, p.outboxCounters)
	return counters
}

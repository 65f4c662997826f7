package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"meltwatch/agent/delivery"
	"meltwatch/agent/message"
	"meltwatch/agent/stamp"
	"meltwatch/bench/rig"
	"meltwatch/config"
)

// furnace is one simulated agent: stamper, outbox and publisher as in the agent, with
// scripted senses.
type furnace struct {
	root      string
	publisher *delivery.Publisher
	stamper   *stamp.Stamper
	ledger    *rig.Ledger
	rarer     int // the periods are this many times longer
}

const (
	samplePeriod = 500 * time.Millisecond
	statePeriod  = time.Second
	eventPeriod  = 20 * time.Second // mean; a real furnace has a few events an hour
)

// fleet are the agents. They make records until quiet is closed, and deliver until their
// context ends.
type fleet struct {
	furnaces []*furnace
	quiet    chan struct{}
	making   sync.WaitGroup
	running  sync.WaitGroup
	cancel   context.CancelFunc
}

// startFleet starts n agents, whose names begin with prefix, with their files in folder, and
// whose messages are rarer by a factor. The first broker of each is the next of the addresses;
// the others follow, as docs/fleet.md says. watch is called before any agent runs, because the
// first messages arrive while others are still being made.
func startFleet(ctx context.Context, watch func(*fleet), prefix string, n, rarer int, addresses []string, folder string) (*fleet, error) {
	ctx, cancel := context.WithCancel(ctx)
	f := &fleet{quiet: make(chan struct{}), cancel: cancel}
	for i := range n {
		one, err := newFurnace(prefix, i, addresses, folder)
		if err != nil {
			cancel()
			return nil, err
		}
		one.rarer = rarer
		f.furnaces = append(f.furnaces, one)
	}
	watch(f)
	for i, one := range f.furnaces {
		f.running.Go(func() { _ = one.publisher.Run(ctx) }) // until the end of ctx
		f.making.Go(func() { one.make(f.quiet, rand.New(rand.NewPCG(uint64(i), 1))) })
	}
	return f, nil
}

func newFurnace(prefix string, i int, addresses []string, parent string) (*furnace, error) {
	name := fmt.Sprintf("%s%03d", prefix, i)
	folder := filepath.Join(parent, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	settings := config.MQTT{Retain: true, ClientID: name, KeepAlive: keepAlive, Queue: 10_000, HistoryRate: 200, Brokers: map[string]config.Broker{}}
	for k := range addresses {
		at := (i + k) % len(addresses)
		settings.Brokers[string(rune('a'+at))] = config.Broker{URL: "tcp://" + addresses[at], Order: k}
	}
	root := message.Root(site, name)
	publisher, stamper, err := rig.NewSender(folder, settings, root)
	if err != nil {
		return nil, err
	}
	// The filters of an agent; nobody sends documents or commands here, but each costs the cluster.
	for _, topic := range []string{message.TopicConfigDesired, message.TopicModelDesired, message.TopicModelChunk, message.TopicCommand} {
		publisher.Subscribe(topic, func(string, []byte) {})
	}
	return &furnace{root: root, publisher: publisher, stamper: stamper, ledger: rig.NewLedger(root)}, nil
}

func (f *furnace) every(period time.Duration) time.Duration { return time.Duration(f.rarer) * period }

// make makes samples, states and events until quiet is closed.
func (f *furnace) make(quiet <-chan struct{}, random *rand.Rand) {
	samples, states := time.NewTicker(f.every(samplePeriod)), time.NewTicker(f.every(statePeriod))
	defer samples.Stop()
	defer states.Stop()
	event := time.After(time.Duration(random.ExpFloat64() * float64(f.every(eventPeriod))))
	for {
		select {
		case <-quiet:
			return
		case now := <-samples.C:
			s := f.stamper.Stamp(string(message.ClassCurrent), now)
			f.made(message.ClassCurrent, s)
			f.publisher.Sample(message.Sample{Stamp: s, A: 14_900 + 200*random.Float64(), B: 15_000, C: 15_100, SetPoint: 15_000})
		case now := <-states.C:
			// Not counted as made: in an outage only every tenth second's state is kept.
			f.publisher.State(message.State{Stamp: f.stamper.Stamp(string(message.ClassState), now), State: "normal", Source: "model"}, false)
		case now := <-event:
			event = time.After(time.Duration(random.ExpFloat64() * float64(f.every(eventPeriod))))
			s := f.stamper.Stamp(string(message.ClassEvent), now)
			f.made(message.ClassEvent, s)
			f.publisher.Event(message.Event{Stamp: s, Kind: "bench", Cause: "to be counted"})
		}
	}
}

func (f *furnace) made(class message.Class, s message.Stamp) {
	f.ledger.Made(class, f.stamper.Boot(), s.Seq, time.Now())
}

// waiting is how many records of a furnace are not acknowledged.
func (f *furnace) waiting() uint64 {
	c := f.publisher.Counters()
	return c["fresh"] + c["waiting_event"] + c["waiting_state"] + c["waiting_current"]
}

// lost counts records of the classes that must arrive whole, which no subscriber received.
func (f *furnace) lost() (events, samples int) {
	forever := time.Now().Add(time.Hour)
	events, _ = f.ledger.Lost(message.ClassEvent, f.stamper.Boot(), forever)
	samples, _ = f.ledger.Lost(message.ClassCurrent, f.stamper.Boot(), forever)
	return events, samples
}

// settle ends the making of records and waits until all are delivered.
func (f *fleet) settle(ctx context.Context, limit time.Duration) error {
	close(f.quiet)
	f.making.Wait()
	for deadline := time.Now().Add(limit); ; {
		waiting, missing := uint64(0), 0
		for _, one := range f.furnaces {
			events, samples := one.lost()
			waiting, missing = waiting+one.waiting(), missing+events+samples
		}
		if waiting == 0 && missing == 0 || time.Now().After(deadline) {
			return nil // what is missing is counted by the report
		}
		if err := rig.Pause(ctx, time.Second); err != nil {
			return errors.Join(errUnsettled, err)
		}
	}
}

var errUnsettled = errors.New("interrupted while records were delivered")

func (f *fleet) stop() {
	f.cancel()
	f.running.Wait()
}

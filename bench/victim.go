package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"meltwatch/agent/delivery"
	"meltwatch/agent/message"
	"meltwatch/agent/outbox"
	"meltwatch/agent/stamp"
	"meltwatch/config"
	"meltwatch/durable"
)

// The environment that makes this program a victim: the agent's stamper, outbox
// and publisher over the folder that it names, fed as fast as asked, until it is
// killed.
const (
	victimFolder = "MELTWATCH_BENCH_VICTIM"
	victimBroker = "MELTWATCH_BENCH_BROKER"
	victimRate   = "MELTWATCH_BENCH_RATE" // records of current a second, 0 to drain only
)

const victimRoot = "meltwatch/bench/f1/"

// What the victim says: a line for each class when it has made records, and how
// many wait. The full stop tells a whole line from one that the kill cut off.
const (
	saysMade    = "made"
	saysWaiting = "waiting"
)

// saying is one line of a victim.
type saying struct {
	class                   message.Class // empty in a line about what waits
	boot, seq               uint64
	waiting, acked, overrun int
}

func parseSaying(line string) (s saying, ok bool) {
	if n, err := fmt.Sscanf(line, saysMade+" %s %d %d.", &s.class, &s.boot, &s.seq); err == nil {
		return s, n == 3
	}
	n, err := fmt.Sscanf(line, saysWaiting+" %d %d %d.", &s.waiting, &s.acked, &s.overrun)
	return s, err == nil && n == 3
}

// tick is how often the victim makes records.
const tick = 10 * time.Millisecond

func victim(folder string) (status int) {
	rate, err := strconv.Atoi(os.Getenv(victimRate))
	if err == nil {
		err = runVictim(folder, os.Getenv(victimBroker), rate)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "victim:", err)
		return 1
	}
	return 0
}

// silent is an observer that tells nobody.
type silent struct{}

func (silent) Beat()                   {}
func (silent) OK()                     {}
func (silent) Fault(error)             {}
func (silent) Count(map[string]uint64) {}

// ample is an outbox that drops nothing.
func ample() outbox.Settings {
	plenty := outbox.Retention{Bytes: 1 << 40, Age: 1000 * time.Hour}
	return outbox.Settings{Bytes: 1 << 40, Event: plenty, State: plenty, Current: plenty, MemoryRecords: 1_000_000}
}

func runVictim(folder, url string, rate int) error {
	stamper, err := stamp.OnHost(folder)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	kept, err := outbox.Open(durable.Folder(filepath.Join(folder, "outbox")), ample(), log, silent{}, nil)
	if err != nil {
		return err
	}
	publisher := delivery.New(config.MQTT{
		Retain: true,
		Broker: url, ClientID: "victim", KeepAlive: 5 * time.Second, Queue: 1_000_000, HistoryRate: 5000,
	}, victimRoot, stamper, kept, log, silent{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = publisher.Run(ctx) }() // until it is killed
	m := maker{publisher: publisher, stamper: stamper, out: bufio.NewWriter(os.Stdout)}
	for began, made := time.Now(), 0; ; time.Sleep(tick) {
		due := int(time.Since(began).Seconds() * float64(rate))
		for ; made < due; made++ {
			m.make(made)
		}
		if err := m.say(); err != nil {
			return nil //nolint:nilerr // the listener has gone, so the victim ends too
		}
	}
}

// maker makes records: of a hundred, one event, three states, the rest current.
type maker struct {
	publisher *delivery.Publisher
	stamper   *stamp.Stamper
	out       *bufio.Writer
	newest    map[message.Class]uint64
}

func (m *maker) make(i int) {
	now := time.Now()
	class := message.ClassCurrent
	switch i % 100 {
	case 0:
		class = message.ClassEvent
	case 25, 50, 75:
		class = message.ClassState
	}
	stamp := m.stamper.Stamp(string(class), now)
	switch class {
	case message.ClassEvent:
		m.publisher.Event(message.Event{Stamp: stamp, Kind: "bench", Cause: "to be counted"})
	case message.ClassState:
		m.publisher.State(message.State{Stamp: stamp, State: "normal", Source: "model"}, true)
	default:
		m.publisher.Sample(message.Sample{Stamp: stamp, A: 14_900 + float64(i%200), B: 15_000, C: 15_100, SetPoint: 15_000})
	}
	if m.newest == nil {
		m.newest = map[message.Class]uint64{}
	}
	m.newest[class] = stamp.Seq
}

// say tells what was made by now, and what waits.
func (m *maker) say() error {
	for class, seq := range m.newest {
		_, _ = fmt.Fprintf(m.out, "%s %s %d %d.\n", saysMade, class, m.stamper.Boot(), seq) // Flush says whether it failed
	}
	clear(m.newest)
	c := m.publisher.Counters()
	waiting := c["fresh"] + c["waiting_event"] + c["waiting_state"] + c["waiting_current"]
	_, _ = fmt.Fprintf(m.out, "%s %d %d %d.\n", saysWaiting, waiting, c["acked"], c["overrun"])
	return m.out.Flush()
}

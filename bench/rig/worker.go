package rig

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"meltwatch/agent/delivery"
	"meltwatch/agent/message"
	"meltwatch/agent/outbox"
	"meltwatch/agent/stamp"
	"meltwatch/config"
)

// The environment that makes this program a crash worker: the agent's stamper, outbox
// and publisher over a folder, which publish records at a set rate until the process is
// killed.
const (
	workerFolder = "MELTWATCH_BENCH_WORKER"
	workerBroker = "MELTWATCH_BENCH_BROKER"
	workerRate   = "MELTWATCH_BENCH_RATE"
)

// WorkerSite is the site in a crash worker's topics.
const WorkerSite = "bench"

// InFlight is how many records may be on their way, unacknowledged: the
// publisher's window of 32 messages, of 20 samples at most.
const InFlight = 32 * 20

// The lines that the crash worker prints: the newest record of each class, and the
// number of waiting records. The full stop marks a complete line, which a kill may cut.
const (
	printsMade    = "made"
	printsWaiting = "waiting"
)

// Progress is one line of a crash worker.
type Progress struct {
	Class                   message.Class // empty in a line about waiting records
	Boot, Seq               uint64
	Waiting, Acked, Overrun int
}

// ParseProgress reads one line.
func ParseProgress(line string) (p Progress, ok bool) {
	if n, err := fmt.Sscanf(line, printsMade+" %s %d %d.", &p.Class, &p.Boot, &p.Seq); err == nil {
		return p, n == 3
	}
	n, err := fmt.Sscanf(line, printsWaiting+" %d %d %d.", &p.Waiting, &p.Acked, &p.Overrun)
	return p, err == nil && n == 3
}

// Worker returns the command that runs this program as a crash worker. rate is in
// records a second; at 0 it only drains the outbox.
func Worker(ctx context.Context, folder, broker string, rate int) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	worker := exec.CommandContext(ctx, self)
	worker.Env = append(os.Environ(), workerFolder+"="+folder, workerBroker+"="+broker, fmt.Sprintf("%s=%d", workerRate, rate))
	worker.Stderr = os.Stderr
	return worker, nil
}

// Tick is the interval at which the crash worker makes records.
const Tick = 10 * time.Millisecond

// RunWorker runs this process as a crash worker if Worker has started it, and returns the
// exit status. Every main whose program calls Worker calls RunWorker first.
func RunWorker() (status int, isWorker bool) {
	folder := os.Getenv(workerFolder)
	if folder == "" {
		return 0, false
	}
	rate, err := strconv.Atoi(os.Getenv(workerRate))
	if err == nil {
		err = runWorker(folder, os.Getenv(workerBroker), rate)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash worker:", err)
		return 1, true
	}
	return 0, true
}

// Silent is an observer that ignores everything.
type Silent struct{}

// Beat is part of the observer.
func (Silent) Beat() {}

// OK is part of the observer.
func (Silent) OK() {}

// Fault is part of the observer.
func (Silent) Fault(error) {}

// Count is part of the observer.
func (Silent) Count(map[string]uint64) {}

// Ample returns settings of an outbox that drops nothing.
func Ample() outbox.Settings {
	plenty := outbox.Retention{Bytes: 1 << 40, Age: 1000 * time.Hour}
	return outbox.Settings{Bytes: 1 << 40, Event: plenty, State: plenty, Current: plenty, MemoryRecords: 1_000_000}
}

func runWorker(folder, url string, rate int) error {
	publisher, stamper, err := NewSender(folder, config.MQTT{
		Retain: true,
		Broker: url, ClientID: "worker", KeepAlive: 5 * time.Second, Queue: 1_000_000, HistoryRate: 5000,
	}, Root(WorkerSite))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = publisher.Run(ctx) }() // until the kill
	m := maker{publisher: publisher, stamper: stamper, out: bufio.NewWriter(os.Stdout)}
	for began, made := time.Now(), 0; ; time.Sleep(Tick) {
		due := int(time.Since(began).Seconds() * float64(rate))
		for ; made < due; made++ {
			m.make(made)
		}
		if err := m.report(); err != nil {
			return nil //nolint:nilerr // the reader of the output has gone
		}
	}
}

// maker makes records: of a hundred, one is an event, three are states, the rest
// current.
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

// report prints the newest record of each class and the number of waiting records.
func (m *maker) report() error {
	for class, seq := range m.newest {
		_, _ = fmt.Fprintf(m.out, "%s %s %d %d.\n", printsMade, class, m.stamper.Boot(), seq) // Flush returns the error
	}
	clear(m.newest)
	c := m.publisher.Counters()
	waiting := c["fresh"] + c["waiting_event"] + c["waiting_state"] + c["waiting_current"]
	_, _ = fmt.Fprintf(m.out, "%s %d %d %d.\n", printsWaiting, waiting, c["acked"], c["overrun"])
	return m.out.Flush()
}

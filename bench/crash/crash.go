// Package crash kills the agent's publisher and stops the broker, hundreds of times, and
// compares what was made with what arrived.
package crash

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"meltwatch/agent/message"
	"meltwatch/bench/rig"
)

// Options set the number of records and of interruptions.
type Options struct {
	Records int    // made, at least
	Kills   int    // of the crash worker with SIGKILL, at least
	Outages int    // of the broker, at least
	Rate    int    // records a second
	Seed    uint64 // draws the times of kills and outages
	// Slack extends the contract's window for a busy machine.
	Slack time.Duration
}

// window is the contract: a record may be lost if it was made no longer than this before
// a crash. An event is on disk before it is published; the other classes reach the disk
// a second after they were not acknowledged, in groups of a second.
func (o Options) window(class message.Class) time.Duration {
	if class == message.ClassEvent {
		return o.Slack
	}
	return 2*time.Second + o.Slack
}

// Run prints the ledger and returns an error if the contract was broken.
func (o Options) Run(ctx context.Context, out io.Writer) error {
	folder, err := os.MkdirTemp("", "meltwatch-ledger-")
	if err != nil {
		return err
	}
	p := &trial{options: o, folder: folder, ledger: rig.NewLedger(rig.Root(rig.WorkerSite)), random: rand.New(rand.NewPCG(o.Seed, 2))}
	err = p.run(ctx)
	return errors.Join(err, os.RemoveAll(folder), p.report(out))
}

// trial is one run.
type trial struct {
	options Options
	folder  string
	ledger  *rig.Ledger
	random  *rand.Rand
	broker  *rig.Broker
	began   time.Time

	kills int

	mu         sync.Mutex // guards what kills and outages both change
	outages    int
	repeatable int // records that the contract allows to come twice

	ends    []end
	exposed int      // records lost within the contract's window
	beyond  int      // records lost beyond it
	lost    []string // what was lost beyond it
	waiting int      // of the last worker, at its end
	overrun int
}

// end is the death of one worker.
type end struct {
	boot uint64
	at   time.Time
}

func (p *trial) run(ctx context.Context) (err error) {
	p.began = time.Now()
	if p.broker, err = rig.StartBroker(ctx, p.ledger.Receive); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.broker.Down()) }()
	outages, stop := context.WithCancel(ctx)
	var interrupting sync.WaitGroup
	var outageErr error
	interrupting.Go(func() { outageErr = p.interrupt(outages) })
	for err == nil && ctx.Err() == nil && !p.enough() {
		err = p.runWorker(ctx, p.options.Rate, p.between(100*time.Millisecond, 3200*time.Millisecond))
		p.kills++
	}
	stop()
	interrupting.Wait()
	if err = errors.Join(err, outageErr, ctx.Err()); err != nil {
		return err
	}
	// The last worker makes no records and runs until none waits.
	return p.runWorker(ctx, 0, 5*time.Minute)
}

func (p *trial) enough() bool {
	made, _, _ := p.ledger.Sums()
	return made >= p.options.Records && p.kills >= p.options.Kills && p.outageCount() >= p.options.Outages
}

func (p *trial) between(least, most time.Duration) time.Duration {
	return least + time.Duration(p.random.Int64N(int64(most-least)))
}

// outageCount is read while interrupt counts.
func (p *trial) outageCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.outages
}

// interrupt stops and restarts the broker until ctx ends.
func (p *trial) interrupt(ctx context.Context) error {
	r := rand.New(rand.NewPCG(p.options.Seed, 3))
	pause := func(most time.Duration) bool {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Duration(r.Int64N(int64(most)))):
			return true
		}
	}
	for pause(10 * time.Second) {
		if err := p.broker.Down(); err != nil {
			return err
		}
		p.mu.Lock()
		p.outages++
		p.repeatable += rig.InFlight
		p.mu.Unlock()
		pause(2 * time.Second)
		if err := p.broker.Up(); err != nil {
			return err
		}
	}
	return nil
}

// runWorker runs one crash worker and kills it after length. A worker that makes no
// records is killed as soon as none waits.
func (p *trial) runWorker(ctx context.Context, rate int, length time.Duration) error {
	worker, err := rig.Worker(ctx, p.folder, p.broker.URL(), rate)
	if err != nil {
		return err
	}
	output, err := worker.StdoutPipe()
	if err != nil {
		return err
	}
	if err := worker.Start(); err != nil {
		return err
	}
	death := time.AfterFunc(length, func() { _ = worker.Process.Kill() }) // the worker may have ended already
	defer death.Stop()
	boot := p.listen(output, func() {
		if rate == 0 {
			_ = worker.Process.Kill() // drained
		}
	})
	var died *exec.ExitError
	if err := worker.Wait(); err != nil && (!errors.As(err, &died) || died.ExitCode() != -1) {
		return fmt.Errorf("crash worker: %w", err)
	}
	p.died(boot, time.Now())
	return nil
}

// listen reads what a worker prints until it dies, and calls drained once no record
// waits.
func (p *trial) listen(output io.Reader, drained func()) (boot uint64) {
	idle := 0
	for lines := bufio.NewScanner(output); lines.Scan(); {
		progress, ok := rig.ParseProgress(lines.Text())
		if !ok {
			continue // a line cut short by the kill
		}
		if progress.Class != "" {
			boot = progress.Boot
			p.ledger.Made(progress.Class, progress.Boot, progress.Seq, time.Now())
			continue
		}
		p.waiting, p.overrun = progress.Waiting, progress.Overrun
		idle++
		if p.waiting > 0 || progress.Acked == 0 {
			idle = 0
		}
		if idle > int(2*time.Second/rig.Tick) { // counters are up to a second old
			drained()
		}
	}
	return boot
}

// died counts the records that the contract allows a crash to repeat: those in flight,
// and those acknowledged since the cursor was last written, at most a second and a round
// of the spooler ago.
func (p *trial) died(boot uint64, at time.Time) {
	repeatable := rig.InFlight + p.ledger.ReceivedSince(at.Add(-2*time.Second))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.repeatable += repeatable
	if boot != 0 {
		p.ends = append(p.ends, end{boot, at})
	}
}

// balance counts the missing records, within the contract's window and beyond.
func (p *trial) balance() {
	for _, e := range p.ends {
		for _, class := range message.Classes() {
			all, _ := p.ledger.Lost(class, e.boot, e.at)
			beyond, first := p.ledger.Lost(class, e.boot, e.at.Add(-p.options.window(class)))
			p.exposed += all - beyond
			p.beyond += beyond
			if beyond > 0 {
				p.lost = append(p.lost, fmt.Sprintf("%d of %s, boot %d, from seq %d on", beyond, class, e.boot, first))
			}
		}
	}
}

// report writes the ledger and returns what broke the contract.
func (p *trial) report(out io.Writer) error {
	p.balance()
	made, got, twice := p.ledger.Sums()
	_, err := fmt.Fprintf(out, `| | |
|---|---|
| records made | %d |
| kills with SIGKILL | %d |
| broker outages | %d |
| records received | %d |
| lost within the contract's window (%s of current and state, %s of events before a kill) | %d |
| **lost beyond it** | **%d** |
| received twice, by (boot, seq) and equal in content | %d |
| allowed to be | %d |
| out of order, unlike, or without a name | %d |
| took | %s |
`, made, p.kills, p.outages, got, p.options.window(message.ClassCurrent), p.options.window(message.ClassEvent), p.exposed, p.beyond, twice, p.repeatable, len(p.ledger.Faults()),
		time.Since(p.began).Round(time.Second))
	faults := []error{err}
	complain := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	complain(len(p.lost) > 0, "lost: %s", strings.Join(p.lost, "; "))
	complain(len(p.ledger.Faults()) > 0, "%s", strings.Join(p.ledger.Faults(), "; "))
	complain(twice > p.repeatable, "%d records came twice, the contract allows %d", twice, p.repeatable)
	complain(p.waiting > 0, "%d records still waited at the end", p.waiting)
	complain(p.overrun > 0, "%d records were dropped before they reached the outbox", p.overrun)
	complain(!p.enough(), "%d records, %d kills, %d outages: too few", made, p.kills, p.outages)
	return errors.Join(faults...)
}

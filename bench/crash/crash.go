// Package crash kills the agent's publisher and takes the broker away, hundreds of
// times, and counts what arrives.
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

	"meltwatch/agent/mqtt"
	"meltwatch/bench/rig"
)

// Options say how much is made and how often it is interrupted.
type Options struct {
	Records int    // at least
	Kills   int    // of the crash worker with SIGKILL, at least
	Outages int    // of the broker, at least
	Rate    int    // records a second
	Seed    uint64 // of the moments
	// Slack is what a record may take beyond the contract's window, for a machine that
	// is busy with all this.
	Slack time.Duration
}

// window is how long before a crash a record may have been made and yet be lost,
// by the contract: an event is on disk before it is published; the rest a second
// after it was not acknowledged, and in groups of a second.
func (c Options) window(class mqtt.Class) time.Duration {
	if class == mqtt.ClassEvent {
		return c.Slack
	}
	return 2*time.Second + c.Slack
}

// Run prints the ledger and fails unless it balances.
func (c Options) Run(ctx context.Context, out io.Writer) error {
	folder, err := os.MkdirTemp("", "meltwatch-ledger-")
	if err != nil {
		return err
	}
	p := &proof{options: c, folder: folder, ledger: rig.NewLedger(rig.WorkerRoot), random: rand.New(rand.NewPCG(c.Seed, 2))}
	err = p.run(ctx)
	return errors.Join(err, os.RemoveAll(folder), p.report(out))
}

// proof is one run of the ledger.
type proof struct {
	options Options
	folder  string
	ledger  *rig.Ledger
	random  *rand.Rand
	broker  *rig.Broker
	began   time.Time

	kills int

	mu         sync.Mutex // of what kills and outages both change
	outages    int
	repeatable int // records that the contract allows to come twice

	ends    []end
	exposed int // lost within the contract's window
	beyond  int // lost beyond it, and what
	lost    []string
	waiting int // of the last worker, at its end
	overrun int
}

// end is one worker's.
type end struct {
	boot uint64
	at   time.Time
}

func (p *proof) run(ctx context.Context) (err error) {
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
		err = p.life(ctx, p.options.Rate, p.between(100*time.Millisecond, 3200*time.Millisecond))
		p.kills++
	}
	stop()
	interrupting.Wait()
	if err = errors.Join(err, outageErr, ctx.Err()); err != nil {
		return err
	}
	// One more that makes nothing and is let live until nothing waits.
	return p.life(ctx, 0, 5*time.Minute)
}

func (p *proof) enough() bool {
	made, _, _ := p.ledger.Sums()
	return made >= p.options.Records && p.kills >= p.options.Kills && p.outageCount() >= p.options.Outages
}

func (p *proof) between(least, most time.Duration) time.Duration {
	return least + time.Duration(p.random.Int64N(int64(most-least)))
}

// outageCount is read by the loop of lives while the other one counts.
func (p *proof) outageCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.outages
}

// interrupt takes the broker away and brings it back until ctx ends.
func (p *proof) interrupt(ctx context.Context) error {
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

// life lets one crash worker live and kills it; one that makes nothing may live until
// nothing waits.
func (p *proof) life(ctx context.Context, rate int, length time.Duration) error {
	worker, err := rig.Worker(ctx, p.folder, p.broker.URL(), rate)
	if err != nil {
		return err
	}
	said, err := worker.StdoutPipe()
	if err != nil {
		return err
	}
	if err := worker.Start(); err != nil {
		return err
	}
	death := time.AfterFunc(length, func() { _ = worker.Process.Kill() }) // one that is dead already is as well
	defer death.Stop()
	boot := p.listen(said, func() {
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

// listen reads what a worker prints until it dies. drained is called when nothing
// waits any more.
func (p *proof) listen(said io.Reader, drained func()) (boot uint64) {
	idle := 0
	for lines := bufio.NewScanner(said); lines.Scan(); {
		says, ok := rig.ParseProgress(lines.Text())
		if !ok {
			continue // cut off by the kill
		}
		if says.Class != "" {
			boot = says.Boot
			p.ledger.Made(says.Class, says.Boot, says.Seq, time.Now())
			continue
		}
		p.waiting, p.overrun = says.Waiting, says.Overrun
		idle++
		if p.waiting > 0 || says.Acked == 0 {
			idle = 0
		}
		if idle > int(2*time.Second/rig.Tick) { // counters are up to a second old
			drained()
		}
	}
	return boot
}

// died notes what the contract allows a crash to repeat: what was in flight, and
// what was acknowledged since the cursor was last written, a second and a round
// of the keeper ago.
func (p *proof) died(boot uint64, at time.Time) {
	repeatable := rig.InFlight + p.ledger.ReceivedSince(at.Add(-2*time.Second))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.repeatable += repeatable
	if boot != 0 {
		p.ends = append(p.ends, end{boot, at})
	}
}

// balance counts what is missing: within the contract's window, and beyond.
func (p *proof) balance() {
	for _, e := range p.ends {
		for _, class := range rig.Classes {
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

// report writes the ledger and returns what is wrong with it.
func (p *proof) report(out io.Writer) error {
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
`, made, p.kills, p.outages, got, p.options.window(mqtt.ClassCurrent), p.options.window(mqtt.ClassEvent), p.exposed, p.beyond, twice, p.repeatable, len(p.ledger.Faults()),
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

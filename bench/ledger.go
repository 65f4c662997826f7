package main

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
)

// window is how long before a crash a record may have been made and yet be lost,
// by the contract: an event is on disk before it is published; the rest a second
// after it was not acknowledged, and in groups of a second.
func (c ledgerCommand) window(class message.Class) time.Duration {
	if class == message.ClassEvent {
		return c.Slack
	}
	return 2*time.Second + c.Slack
}

// inFlight is how many records may be on their way, unacknowledged: the
// publisher's window of 32 messages, of 20 samples at most.
const inFlight = 32 * 20

type ledgerCommand struct {
	Records int    `default:"1000000" help:"How many records to make, at least."`
	Kills   int    `default:"200" help:"How often to kill the sender with SIGKILL, at least."`
	Outages int    `default:"50" help:"How often to take the broker away, at least."`
	Rate    int    `default:"4000" help:"Records a second."`
	Seed    uint64 `default:"1" help:"Of the moments."`
	// Slack is for a machine that is busy with all this.
	Slack time.Duration `default:"500ms" help:"What a record may take beyond the contract's window."`
}

// Run prints the ledger and fails unless it balances.
func (c ledgerCommand) Run(ctx context.Context, out io.Writer) error {
	folder, err := os.MkdirTemp("", "meltwatch-ledger-")
	if err != nil {
		return err
	}
	p := &proof{command: c, folder: folder, account: newAccount(victimRoot), random: rand.New(rand.NewPCG(c.Seed, 2))}
	err = p.run(ctx)
	return errors.Join(err, os.RemoveAll(folder), p.report(out))
}

// proof is one run of the ledger.
type proof struct {
	command ledgerCommand
	folder  string
	account *account
	random  *rand.Rand
	broker  *broker
	began   time.Time

	kills, outages int
	repeatable     int // records that the contract allows to come twice
	ends           []end
	exposed        int // lost within the contract's window
	beyond         int // lost beyond it, and what
	lost           []string
	waiting        int // of the last victim, at its end
	overrun        int
}

// end is one victim's.
type end struct {
	boot uint64
	at   time.Time
}

func (p *proof) run(ctx context.Context) (err error) {
	p.began = time.Now()
	if p.broker, err = startBroker(ctx, p.account.receive); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.broker.down()) }()
	outages, stop := context.WithCancel(ctx)
	var interrupting sync.WaitGroup
	var outageErr error
	interrupting.Go(func() { outageErr = p.interrupt(outages) })
	for err == nil && ctx.Err() == nil && !p.enough() {
		err = p.life(ctx, p.command.Rate, p.between(100*time.Millisecond, 3200*time.Millisecond))
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
	made, _, _ := p.account.sums()
	return made >= p.command.Records && p.kills >= p.command.Kills && p.outageCount() >= p.command.Outages
}

func (p *proof) between(least, most time.Duration) time.Duration {
	return least + time.Duration(p.random.Int64N(int64(most-least)))
}

// outageCount is read by the loop of lives while the other one counts.
func (p *proof) outageCount() int {
	p.account.mu.Lock()
	defer p.account.mu.Unlock()
	return p.outages
}

// interrupt takes the broker away and brings it back until ctx ends.
func (p *proof) interrupt(ctx context.Context) error {
	r := rand.New(rand.NewPCG(p.command.Seed, 3))
	pause := func(most time.Duration) bool {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Duration(r.Int64N(int64(most)))):
			return true
		}
	}
	for pause(10 * time.Second) {
		if err := p.broker.down(); err != nil {
			return err
		}
		p.account.mu.Lock()
		p.outages++
		p.repeatable += inFlight
		p.account.mu.Unlock()
		pause(2 * time.Second)
		if err := p.broker.up(); err != nil {
			return err
		}
	}
	return nil
}

// life lets one victim live and kills it; one that makes nothing may live until
// nothing waits.
func (p *proof) life(ctx context.Context, rate int, length time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	victim := exec.CommandContext(ctx, self)
	victim.Env = append(os.Environ(), victimFolder+"="+p.folder, victimBroker+"="+p.broker.url(), fmt.Sprintf("%s=%d", victimRate, rate))
	victim.Stderr = os.Stderr
	said, err := victim.StdoutPipe()
	if err != nil {
		return err
	}
	if err := victim.Start(); err != nil {
		return err
	}
	death := time.AfterFunc(length, func() { _ = victim.Process.Kill() }) // one that is dead already is as well
	defer death.Stop()
	boot := p.listen(said, func() {
		if rate == 0 {
			_ = victim.Process.Kill() // drained
		}
	})
	var died *exec.ExitError
	if err := victim.Wait(); err != nil && (!errors.As(err, &died) || died.ExitCode() != -1) {
		return fmt.Errorf("victim: %w", err)
	}
	p.died(boot, time.Now())
	return nil
}

// listen reads what a victim says until it dies. drained is called when nothing
// waits any more.
func (p *proof) listen(said io.Reader, drained func()) (boot uint64) {
	idle := 0
	for lines := bufio.NewScanner(said); lines.Scan(); {
		says, ok := parseSaying(lines.Text())
		if !ok {
			continue // cut off by the kill
		}
		if says.class != "" {
			boot = says.boot
			p.account.made(says.class, says.boot, says.seq, time.Now())
			continue
		}
		p.waiting, p.overrun = says.waiting, says.overrun
		idle++
		if p.waiting > 0 || says.acked == 0 {
			idle = 0
		}
		if idle > int(2*time.Second/tick) { // counters are up to a second old
			drained()
		}
	}
	return boot
}

// died notes what the contract allows a crash to repeat: what was in flight, and
// what was acknowledged since the cursor was last written, a second and a round
// of the keeper ago.
func (p *proof) died(boot uint64, at time.Time) {
	repeatable := inFlight + p.account.receivedSince(at.Add(-2*time.Second))
	p.account.mu.Lock()
	defer p.account.mu.Unlock()
	p.repeatable += repeatable
	if boot != 0 {
		p.ends = append(p.ends, end{boot, at})
	}
}

// balance counts what is missing: within the contract's window, and beyond.
func (p *proof) balance() {
	for _, e := range p.ends {
		for _, class := range classes {
			all, _ := p.account.lost(class, e.boot, e.at)
			beyond, first := p.account.lost(class, e.boot, e.at.Add(-p.command.window(class)))
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
	made, got, twice := p.account.sums()
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
`, made, p.kills, p.outages, got, p.command.window(message.ClassCurrent), p.command.window(message.ClassEvent), p.exposed, p.beyond, twice, p.repeatable, len(p.account.faults),
		time.Since(p.began).Round(time.Second))
	faults := []error{err}
	complain := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	complain(len(p.lost) > 0, "lost: %s", strings.Join(p.lost, "; "))
	complain(len(p.account.faults) > 0, "%s", strings.Join(p.account.faults, "; "))
	complain(twice > p.repeatable, "%d records came twice, the contract allows %d", twice, p.repeatable)
	complain(p.waiting > 0, "%d records still waited at the end", p.waiting)
	complain(p.overrun > 0, "%d records were dropped before they reached the outbox", p.overrun)
	complain(!p.enough(), "%d records, %d kills, %d outages: too few", made, p.kills, p.outages)
	return errors.Join(faults...)
}

// Package meter measures the way from a meter to a subscriber: the agent, Telegraf and a
// bare client read the same server in turn, and publish to the same broker and subscriber.
package meter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"meltwatch/bench/performance/figures"
	"meltwatch/bench/rig"
	"meltwatch/simulator/broker"
)

// Options are the programs that are compared.
type Options struct {
	Programs rig.Programs
	Telegraf string
	Brief    bool // watch for a fifth of the time, to see that it works
}

// rate is one pace of the meter, and how long it is watched.
type rate struct {
	hertz int
	watch time.Duration
}

func rates() []rate {
	return []rate{{2, 15 * time.Second}, {10, 12 * time.Second}, {100, 8 * time.Second}}
}

// usualRate is the rate at which Telegraf is watched with its defaults too. It then publishes
// every ten seconds, so the watch holds one batch.
const usualRate = 10

// Measure makes one round: at each rate every sender once, another one first in each round.
func (o Options) Measure(ctx context.Context, n int) (figures.Round, error) {
	if _, err := os.Stat(o.Telegraf); err != nil {
		return nil, fmt.Errorf("%w: build it with scripts/telegraf.sh", err)
	}
	all := figures.Round{}
	list := senders()
	for _, r := range rates() {
		if o.Brief {
			r.watch /= 5
		}
		for i := range list {
			s := list[(i+n)%len(list)]
			if s.name == usual && r.hertz != usualRate {
				continue
			}
			if err := o.watch(ctx, s, r, all); err != nil {
				return nil, fmt.Errorf("%s at %d Hz: %w", s.name, r.hertz, err)
			}
		}
	}
	return all, nil
}

// watch runs one sender at one rate with a meter, a broker and a subscriber of its own.
func (o Options) watch(ctx context.Context, s sender, r rate, into figures.Round) (err error) {
	folder, err := os.MkdirTemp("", "meltwatch-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	meter, err := startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, meter.stop()) }()
	mosquitto, err := rig.StartMosquitto(ctx, folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mosquitto.Stop()) }()
	p := place{folder: folder, meter: meter.url, broker: mosquitto.URL(), period: time.Second / time.Duration(r.hertz)}
	command, topic, err := s.command(o, p)
	if err != nil {
		return err
	}
	arrived := &arrivals{meter: meter, topic: topic}
	subscriber, err := broker.Subscribe(mosquitto.URL(), "subscriber", "#", arrived.take)
	if err != nil {
		return err
	}
	defer subscriber.Disconnect(100)
	log := &rig.Buffer{}
	command.Stdout, command.Stderr = log, log
	start := time.Now()
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(command.Path), err)
	}
	defer func() {
		if err = errors.Join(err, end(command)); err != nil {
			err = fmt.Errorf("%w\n%s", err, log.String())
		}
	}()
	if err := o.use(ctx, s, r, command.Process.Pid, arrived, into, fmt.Sprintf("%d %s", r.hertz, s.name)); err != nil {
		return err
	}
	arrived.figures(into, fmt.Sprintf("%d %s", r.hertz, s.name), start, p.period)
	return nil
}

// end ends a sender. Telegraf may take long to give up, so it is killed.
func end(command *exec.Cmd) error {
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	kill := time.AfterFunc(5*time.Second, func() { _ = command.Process.Kill() }) // Wait returns how it ended
	defer kill.Stop()
	_ = command.Wait() // its status is the signal
	return nil
}

// use watches a sender that has just been started, and adds what it used.
func (o Options) use(ctx context.Context, s sender, r rate, pid int, arrived *arrivals, into figures.Round, name string) error {
	for deadline := time.Now().Add(30 * time.Second); !arrived.started(); {
		if time.Now().After(deadline) {
			return errors.New("no sample arrived for 30 s")
		}
		if err := rig.Pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	if err := rig.Pause(ctx, s.settle); err != nil {
		return err
	}
	before, err := spent(pid)
	if err != nil {
		return err
	}
	polls, began := arrived.meter.answered(), time.Now()
	arrived.time(true)
	if err := rig.Pause(ctx, r.watch); err != nil {
		return err
	}
	arrived.time(false)
	after, err := spent(pid)
	if err != nil {
		return err
	}
	after.figures(into, name, before, time.Since(began), arrived.meter.answered()-polls)
	return nil
}

// usage is what a sender has used so far.
type usage struct {
	own, all        rig.Processor // without and with its children
	written         int64
	resident, share float64 // MB, of the sender alone
}

// figures adds what was used since before, in a time with a number of polls, under names
// that begin with name.
func (u usage) figures(into figures.Round, name string, before usage, lasted time.Duration, polls int) {
	perPoll := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) / float64(max(polls, 1)) }
	into[name+" polls"] = float64(polls)
	into[name+" CPU"] = perPoll(u.own.Time - before.own.Time)
	into[name+" CPU with children"] = perPoll(u.all.Time - before.all.Time)
	into[name+" turns"] = float64(u.own.Turns-before.own.Turns) / float64(max(polls, 1))
	into[name+" core"] = 100 * float64(u.all.Time-before.all.Time) / float64(lasted)
	into[name+" written"] = float64(u.written-before.written) / 1e3
	into[name+" RSS"], into[name+" PSS"] = u.resident, u.share
}

func spent(pid int) (u usage, err error) {
	if u.own, err = rig.ReadProcessor(pid); err != nil {
		return u, err
	}
	u.all = u.own
	children, err := rig.Children(pid)
	if err != nil {
		return u, err
	}
	for _, child := range children {
		more, err := rig.ReadProcessor(child)
		if err != nil {
			return u, err
		}
		u.all.Time += more.Time
	}
	memory, err := rig.ReadUsage(pid)
	if err != nil {
		return u, err
	}
	u.resident, u.share = float64(memory.Resident)/1e6, float64(memory.Share)/1e6
	u.written, err = rig.WrittenBytes(pid)
	return u, err
}

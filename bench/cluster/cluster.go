// Package cluster puts a fleet of agents on a cluster of three nats-servers and takes nodes
// away from it: what is lost, how long a furnace is silent, and what a furnace costs.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"meltwatch/bench/listing"
	"meltwatch/bench/rig"
)

// Options set the size of the trial.
type Options struct {
	NATS    string // the program, as scripts/nats.sh builds it
	Meltctl string // the program
	Agents  int
	Rarer   int           // factor by which messages are rarer than a furnace's
	Listed  int           // agents that meltctl lists
	Steady  time.Duration // the time over which cost is measured
	Fault   time.Duration // how long each fault lasts
	Pending int           // messages that a node may send to a subscriber before their PUBACK
	Into    string        // page with the marks "cluster", and "cluster-rarer" for rarer messages; none if empty
}

const (
	site      = "cluster"
	keepAlive = 5 * time.Second
	// reconnected is the promise after a fault: every furnace is heard again.
	reconnected = 30 * time.Second
	givenUp     = 3 * reconnected
	delivered   = 5 * time.Minute
)

// trial is one run.
type trial struct {
	Options
	servers   *servers
	historian *historian
	fleet     *fleet
	steps     []step
	wills     wills
	bridged   bridged
	listed    listing.Listed
	cost      cost
	keeps     keeps
}

// step is one fault, and when the last furnace was heard again: after its begin, while it
// lasts, and after its end.
type step struct {
	name          string
	during, after time.Duration // during is 0 for a fault that no furnace can outlive
	heard         bool          // both within the promise
}

// cost is what the fleet costs while nothing is at fault.
type cost struct {
	messages, bytes float64 // a furnace and second
	memory          int     // of all nodes, in bytes
	cpu             float64 // of all nodes, in cores
}

func (o Options) mark() string {
	if o.Rarer > 1 {
		return "cluster-rarer"
	}
	return "cluster"
}

// Run runs the script and writes the page.
func (o Options) Run(ctx context.Context, out io.Writer) (err error) {
	if o.Agents < 1 || o.Rarer < 1 {
		return fmt.Errorf("%d agents, messages %d times rarer: both must be 1 or more", o.Agents, o.Rarer)
	}
	for program, remedy := range map[string]string{o.NATS: "scripts/nats.sh", o.Meltctl: "make build"} {
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("%w: build it with %s", err, remedy)
		}
	}
	folder, err := os.MkdirTemp("", "meltwatch-cluster-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	t := &trial{Options: o, historian: newHistorian()}
	if t.servers, err = startServers(ctx, o.NATS, o.Pending, folder); err != nil {
		return err
	}
	defer t.servers.stop()
	if err := t.start(ctx, filepath.Join(folder, "agents")); err != nil {
		return err
	}
	defer t.fleet.stop()
	if err := t.script(ctx); err != nil {
		return err
	}
	if err := t.fleet.settle(ctx, delivered); err != nil {
		return err
	}
	if t.keeps.after, err = t.servers.count(ctx); err != nil {
		return err
	}
	t.historian.forget(t.fleet) // its agents are quiet from here on
	if t.bridged, err = t.bridge(ctx, filepath.Join(folder, "bridged")); err != nil {
		return err
	}
	if t.wills, err = t.takeAway(ctx, filepath.Join(folder, "frozen")); err != nil {
		return err
	}
	broker := "tcp://" + t.servers.nodes[1].mqtt
	if err = listing.Publish(broker, t.Options.Listed); err != nil {
		return err
	}
	// The tables tell what was measured before, also if nothing can be listed.
	var unlisted error
	t.listed, unlisted = listing.List(ctx, t.Meltctl, broker)
	tables, broken := t.report()
	_, err = io.WriteString(out, tables)
	return errors.Join(broken, unlisted, err, rig.Insert(o.Into, o.mark(), tables))
}

func (t *trial) start(ctx context.Context, folder string) (err error) {
	var addresses []string
	for _, n := range t.servers.nodes {
		addresses = append(addresses, n.mqtt)
	}
	// The cluster chooses its leader first.
	for deadline := time.Now().Add(time.Minute); ; {
		if err = t.historian.connect(addresses); err == nil {
			break
		}
		if time.Now().After(deadline) {
			return err
		}
		if err := rig.Pause(ctx, time.Second); err != nil {
			return err
		}
	}
	if t.fleet, err = startFleet(ctx, t.historian.watch, "f", t.Agents, t.Rarer, addresses, folder); err != nil {
		return err
	}
	_, heard, err := t.waitHeard(ctx)
	if err == nil && !heard {
		err = errors.New("not every furnace was heard after the start")
	}
	return err
}

// waitHeard waits until every furnace is heard, from now on. heard tells whether that took
// no longer than was promised.
func (t *trial) waitHeard(ctx context.Context) (took time.Duration, heard bool, err error) {
	since := time.Now()
	for t.historian.silent(since) > 0 {
		if time.Since(since) > givenUp {
			break
		}
		if err := rig.Pause(ctx, 100*time.Millisecond); err != nil {
			return 0, false, err
		}
	}
	took = time.Since(since)
	return took, took <= reconnected && t.historian.silent(since) == 0, nil
}

// fault is one of the script.
type fault struct {
	name       string
	begin, end func() error
	// outlived tells that the furnaces are heard while the fault lasts.
	outlived bool
}

// make makes a fault, lets it last, ends it and waits for all furnaces.
func (t *trial) make(ctx context.Context, f fault) (s step, err error) {
	s = step{name: f.name, heard: true}
	if err := f.begin(); err != nil {
		return s, err
	}
	began := time.Now()
	if f.outlived {
		if s.during, s.heard, err = t.waitHeard(ctx); err != nil {
			return s, err
		}
	}
	if err := rig.Pause(ctx, t.Fault-time.Since(began)); err != nil {
		return s, err
	}
	if err := f.end(); err != nil {
		return s, err
	}
	after, heard, err := t.waitHeard(ctx)
	s.after, s.heard = after, s.heard && heard
	return s, err
}

// storm is the fault after which all agents connect at once.
const storm = "all nodes are killed at once, and started again (reconnect storm)"

func (t *trial) script(ctx context.Context) error {
	err := t.measure(ctx)
	if err == nil {
		t.keeps.before, err = t.servers.count(ctx)
	}
	if err != nil {
		return err
	}
	nodes := t.servers.nodes
	faults := []fault{
		{"a node is killed, and started again", func() error { return nodes[0].end(syscall.SIGKILL) }, func() error { return nodes[0].start(ctx) }, true},
		{"a node answers nobody (SIGSTOP), then goes on", func() error { return nodes[1].process.Process.Signal(syscall.SIGSTOP) }, func() error { return nodes[1].process.Process.Signal(syscall.SIGCONT) }, true},
		{"the routes of a node to both others are cut, then joined", func() error { return t.servers.part(2, true) }, func() error { return t.servers.part(2, false) }, false},
		{storm, func() error { return t.all(func(n *node) error { return n.end(syscall.SIGKILL) }) }, func() error { return t.all(func(n *node) error { return n.start(ctx) }) }, false},
	}
	for _, n := range nodes {
		restart := func() error { return errors.Join(n.end(syscall.SIGTERM), n.start(ctx)) }
		faults = append(faults, fault{"rolling restart, node " + n.name, restart, func() error { return nil }, false})
	}
	for _, f := range faults {
		s, err := t.make(ctx, f)
		if err != nil {
			return err
		}
		t.steps = append(t.steps, s)
		if f.name == storm {
			if t.keeps.storm, err = t.servers.count(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *trial) all(do func(*node) error) (err error) {
	for _, n := range t.servers.nodes {
		err = errors.Join(err, do(n))
	}
	return err
}

// measure measures the cost of a furnace.
func (t *trial) measure(ctx context.Context) error {
	messages, bytes := t.historian.counted()
	_, used, err := t.servers.usage()
	if err != nil {
		return err
	}
	if err := rig.Pause(ctx, t.Steady); err != nil {
		return err
	}
	messagesAfter, bytesAfter := t.historian.counted()
	memory, usedAfter, err := t.servers.usage()
	each := t.Steady.Seconds() * float64(t.Agents)
	t.cost = cost{float64(messagesAfter-messages) / each, float64(bytesAfter-bytes) / each, memory, (usedAfter - used).Seconds() / t.Steady.Seconds()}
	return err
}

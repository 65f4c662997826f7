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
	"runtime"
	"syscall"
	"time"

	"meltwatch/bench/rig"
)

// Options set the size of the trial.
type Options struct {
	NATS   string // the program, as scripts/nats.sh builds it
	Agents int
	Steady time.Duration // the time over which cost is measured
	Fault  time.Duration // how long each fault lasts
}

const (
	site      = "cluster"
	keepAlive = 5 * time.Second
	// reconnected is the promise after a fault: every furnace is heard again.
	reconnected = 30 * time.Second
	delivered   = 5 * time.Minute
)

// trial is one run.
type trial struct {
	Options
	servers   *servers
	historian *historian
	fleet     *fleet
	steps     []step
	cost      cost
}

// step is one fault, and how long after its end the last furnace was heard again.
type step struct {
	name  string
	worst time.Duration // longest silence after the fault's end, of all furnaces
	heard bool          // within the promise
}

// cost is what the fleet costs while nothing is at fault.
type cost struct {
	messages, bytes float64 // a furnace and second
	memory          int     // of all nodes, in bytes
	cpu             float64 // of all nodes, in cores
}

// Run runs the script and writes the page.
func (o Options) Run(ctx context.Context, out io.Writer) (err error) {
	if _, err := os.Stat(o.NATS); err != nil {
		return fmt.Errorf("%w: build it with scripts/nats.sh", err)
	}
	folder, err := os.MkdirTemp("", "meltwatch-cluster-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	t := &trial{Options: o, historian: newHistorian()}
	if t.servers, err = startServers(ctx, o.NATS, folder); err != nil {
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
	return t.report(out)
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
	if t.fleet, err = startFleet(ctx, t.Agents, addresses, folder); err != nil {
		return err
	}
	t.historian.watch(t.fleet)
	return t.heard(ctx, "start")
}

// heard waits until every furnace is heard, from now on, and notes how long it took.
func (t *trial) heard(ctx context.Context, name string) error {
	since := time.Now()
	for t.historian.silent(since) > 0 {
		if time.Since(since) > 3*reconnected {
			break
		}
		if err := rig.Pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	took := time.Since(since)
	t.steps = append(t.steps, step{name, took, took <= reconnected && t.historian.silent(since) == 0})
	return nil
}

// fault makes a fault, lets it last, ends it and waits for all furnaces.
func (t *trial) fault(ctx context.Context, name string, begin, end func() error) error {
	if err := begin(); err != nil {
		return err
	}
	if err := rig.Pause(ctx, t.Fault); err != nil {
		return err
	}
	if err := end(); err != nil {
		return err
	}
	return t.heard(ctx, name)
}

func (t *trial) script(ctx context.Context) error {
	if err := t.measure(ctx); err != nil {
		return err
	}
	nodes := t.servers.nodes
	for _, f := range []struct {
		name       string
		begin, end func() error
	}{
		{"a node is killed, and started again", func() error { return nodes[0].end(syscall.SIGKILL) }, func() error { return nodes[0].start(ctx) }},
		{"a node answers nobody (SIGSTOP), then goes on", func() error { return nodes[1].process.Process.Signal(syscall.SIGSTOP) }, func() error { return nodes[1].process.Process.Signal(syscall.SIGCONT) }},
		{"the routes of a node to both others are cut, then joined", func() error { return t.servers.part(2, true) }, func() error { return t.servers.part(2, false) }},
		{"all nodes are killed at once, and started again (reconnect storm)", func() error { return t.all(func(n *node) error { return n.end(syscall.SIGKILL) }) }, func() error { return t.all(func(n *node) error { return n.start(ctx) }) }},
	} {
		if err := t.fault(ctx, f.name, f.begin, f.end); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		restart := func() error { return errors.Join(n.end(syscall.SIGTERM), n.start(ctx)) }
		if err := t.fault(ctx, "rolling restart, node "+n.name, restart, func() error { return nil }); err != nil {
			return err
		}
	}
	return t.fleet.settle(ctx, delivered)
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

// report prints the tables and fails if a promise was broken.
func (t *trial) report(out io.Writer) error {
	made, received, repeated, events, samples := 0, 0, 0, 0, 0
	var faults []string
	for _, f := range t.fleet.furnaces {
		m, r, again := f.ledger.Sums()
		e, s := f.lost()
		made, received, repeated, events, samples = made+m, received+r, repeated+again, events+e, samples+s
		faults = append(faults, f.ledger.Faults()...)
	}
	fmt.Fprintf(out, "%d agents, three nodes of nats-server on %d cores, which the agents and the subscriber share; each fault lasts %s.\n\n", t.Agents, runtime.NumCPU(), t.Fault)
	fmt.Fprintf(out, "| Fault | every furnace heard again after |\n|---|---|\n")
	late := 0
	for _, s := range t.steps[1:] {
		told := fmt.Sprintf("%.1f s", s.worst.Seconds())
		if !s.heard {
			late++
			told = "**" + told + "**"
		}
		fmt.Fprintf(out, "| %s | %s |\n", s.name, told)
	}
	fmt.Fprintf(out, "\n| Delivery, all faults together | |\n|---|---|\n")
	fmt.Fprintf(out, "| events and samples made | %d |\n| events lost | %d |\n| samples lost | %d |\n", made, events, samples)
	fmt.Fprintf(out, "| records received, states included | %d |\n| of these repeated | %d |\n| breaches of order or content | %d |\n", received, repeated, len(faults))
	fmt.Fprintf(out, "\n| A furnace costs | |\n|---|---|\n")
	fmt.Fprintf(out, "| messages a second, to one subscriber | %.2f |\n| bytes a second of topic and payload | %.0f |\n", t.cost.messages, t.cost.bytes)
	fmt.Fprintf(out, "| memory of all nodes together | %.2f MB |\n| processor time of all nodes | %.2f %% of a core |\n",
		float64(t.cost.memory)/1e6/float64(t.Agents), 100*t.cost.cpu/float64(t.Agents))
	for _, f := range faults {
		fmt.Fprintf(out, "\n- %s", f)
	}
	if events+samples+len(faults)+late > 0 {
		return fmt.Errorf("%d events and %d samples lost, %d breaches of order, %d faults after which a furnace was silent for more than %s", events, samples, len(faults), late, reconnected)
	}
	return nil
}

// Package outage puts the agent and Telegraf through the same outage of the broker and
// counts what arrives from each.
package outage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"meltwatch/agent/message"
	"meltwatch/bench/rig"
	"meltwatch/simulator/broker"
)

// Options set the outage and the senders.
type Options struct {
	Programs rig.Programs
	Telegraf string        // the program, as scripts/telegraf.sh builds it
	Outage   time.Duration // half-way through, each sender is killed and started again
	Logs     bool          // print the senders' logs too
	Into     string        // page with the marks "outage"; none if empty
}

// Run puts every sender through the same outage at the same time and prints what arrived
// from each.
func (o Options) Run(ctx context.Context, out io.Writer) error {
	if _, err := os.Stat(o.Telegraf); err != nil {
		return fmt.Errorf("%w: build it with scripts/telegraf.sh", err)
	}
	p := &rig.Plant{Programs: o.Programs, Take: func(string, []byte) {}}
	err := p.Start(ctx, "bench")
	var senders []*sender
	if err == nil {
		senders, err = o.senders(p)
	}
	if err == nil {
		err = o.run(ctx, p, senders)
	}
	for _, s := range senders {
		err = errors.Join(err, s.kill())
	}
	if err = errors.Join(err, p.Stop()); err != nil {
		return err
	}
	end := time.Now().Add(-5 * time.Second) // younger samples may still be on their way
	var table bytes.Buffer
	fmt.Fprintf(&table, "Broker away for %s, each sender killed with SIGKILL half-way and started again 2 s later; 2 samples a second.\n\n", o.Outage)
	fmt.Fprint(&table, "| sender | samples due | received | lost | twice | ended by itself |\n|---|---|---|---|---|---|\n")
	for _, s := range senders {
		due, got, twice := s.balance(end)
		fmt.Fprintf(&table, "| %s | %d | %d | %d | %d | %d |\n", s.name, due, got, max(due-got, 0), twice, s.restarts)
	}
	if o.Logs {
		for _, s := range senders {
			fmt.Fprintf(os.Stderr, "%s:\n%s\n", s.name, s.log.String())
		}
	}
	_, err = out.Write(table.Bytes())
	return errors.Join(err, rig.Insert(o.Into, "outage", table.String()))
}

// sender is one program that reads the meter and publishes it.
type sender struct {
	name    string
	command []string
	log     *rig.Buffer
	// stamps returns the times of the samples in one of the sender's messages, and none
	// for another's message.
	stamps func(topic string, payload []byte) []time.Time

	mu       sync.Mutex
	process  *exec.Cmd // nil between kill and start
	ended    chan struct{}
	restarts int           // after it ended by itself
	seen     map[int64]int // by time, ms
	dead     time.Duration // between kill and start
	killed   time.Time
}

const samplePeriod = 500 * time.Millisecond

// senders starts the agent, in place of the one that the plant has started, and two
// Telegrafs.
func (o Options) senders(p *rig.Plant) ([]*sender, error) {
	agent := &sender{name: "meltwatch", command: p.Agent.Args, log: p.Log, seen: map[int64]int{}}
	agent.stamps = func(topic string, payload []byte) (stamps []time.Time) {
		var m struct{ Samples []message.Stamp }
		if strings.HasSuffix(topic, "/current") && strings.HasPrefix(topic, p.Root) && json.Unmarshal(payload, &m) == nil {
			for _, s := range m.Samples {
				stamps = append(stamps, s.Time)
			}
		}
		return stamps
	}
	// The agent is restarted as a sender. SIGKILL, because it has hardly started: a
	// SIGTERM before it handles signals would look like a failure.
	if err := p.Agent.Process.Kill(); err != nil {
		return nil, fmt.Errorf("kill meltwatch: %w", err)
	}
	_ = p.Agent.Wait() // its error is the kill
	p.Agent = nil
	list := []*sender{agent}
	if err := agent.start(); err != nil {
		return nil, err
	}
	for _, buffer := range []string{"memory", "disk"} {
		s, err := o.telegraf(p, buffer)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// telegraf starts a Telegraf with one of its buffers.
func (o Options) telegraf(p *rig.Plant, buffer string) (*sender, error) {
	text := rig.Telegraf{
		Interval: "500ms", Flush: "1s", Batch: rig.TelegrafBatch,
		Buffer: buffer, Folder: filepath.Join(p.Folder, "telegraf-"+buffer),
		Broker: "tcp://" + p.Link.Listen, Topic: "telegraf/" + buffer, ClientID: "telegraf-" + buffer,
		Meter: p.Meter, Timeout: "300ms",
	}.TOML()
	path := filepath.Join(p.Folder, "telegraf-"+buffer+".conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	s := &sender{
		name: "Telegraf 1.34.4, " + buffer + " buffer", command: []string{o.Telegraf, "--config", path}, log: &rig.Buffer{}, seen: map[int64]int{},
	}
	s.stamps = func(topic string, payload []byte) []time.Time {
		var m struct{ Timestamp int64 }
		if topic != "telegraf/"+buffer || json.Unmarshal(payload, &m) != nil || m.Timestamp == 0 {
			return nil
		}
		return []time.Time{time.UnixMilli(m.Timestamp)}
	}
	return s, s.start()
}

// start starts the program and restarts it whenever it ends by itself, as a service
// manager does.
func (s *sender) start() error {
	process := exec.Command(s.command[0], s.command[1:]...) //nolint:noctx // kill ends it
	process.Stderr, process.Stdout = s.log, s.log
	if err := process.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	s.mu.Lock()
	s.process, s.ended = process, ended
	s.mu.Unlock()
	go func() {
		_ = process.Wait() // how it ended stands in its log
		close(ended)
		time.Sleep(time.Second)
		s.mu.Lock()
		again := s.process == process
		if again {
			s.restarts++
		}
		s.mu.Unlock()
		if again {
			_ = s.start() // one that does not start any more has lost what follows
		}
	}()
	return nil
}

func (s *sender) take(topic string, payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.stamps(topic, payload) {
		s.seen[t.UnixMilli()]++
	}
}

func (s *sender) kill() error {
	s.mu.Lock()
	process, ended := s.process, s.ended
	s.process, s.killed = nil, time.Now()
	s.mu.Unlock()
	if err := process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", s.name, err)
	}
	<-ended
	return nil
}

// run is the outage, step by step.
func (o Options) run(ctx context.Context, p *rig.Plant, senders []*sender) error {
	counting, err := broker.Subscribe(p.Broker.URL(), "count", "#", func(topic string, payload []byte) {
		for _, s := range senders {
			s.take(topic, payload)
		}
	})
	if err != nil {
		return err
	}
	defer counting.Disconnect(100)
	steps := []func() error{
		func() error { return rig.Pause(ctx, 30*time.Second) },
		func() error { p.Link.Stop(); return rig.Pause(ctx, o.Outage/2) },
		func() error {
			var faults []error
			for _, s := range senders {
				faults = append(faults, s.kill())
			}
			return errors.Join(append(faults, rig.Pause(ctx, 2*time.Second))...)
		},
		func() error {
			var faults []error
			for _, s := range senders {
				faults = append(faults, s.start())
				s.dead = time.Since(s.killed)
			}
			return errors.Join(append(faults, rig.Pause(ctx, o.Outage/2))...)
		},
		p.Link.Start,
		func() error { return rig.Pause(ctx, 60*time.Second) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// balance counts from the first sample that arrived to the end: how many samples were due
// while the sender ran, how many arrived, and how many deliveries were repetitions. A
// sender reads nothing in the second or so of its start; these samples count as lost.
func (s *sender) balance(end time.Time) (due, got, twice int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := end.UnixMilli()
	for at, times := range s.seen {
		first = min(first, at)
		if at <= end.UnixMilli() {
			got++
		}
		twice += times - 1
	}
	span := end.Sub(time.UnixMilli(first)) - s.dead
	return int(span/samplePeriod) + 1, got, twice
}

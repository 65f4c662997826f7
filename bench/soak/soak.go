// Package soak runs every program for minutes or hours, with outages, and watches memory,
// goroutines, descriptors and the outbox.
package soak

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"meltwatch/agent/message"
	"meltwatch/bench/rig"
)

// Options set the length and the programs.
type Options struct {
	Minutes  float64
	Programs rig.Programs
}

const site = "soak"

// Run runs every program, interrupts the network now and then, and prints what arrived
// and what the programs used.
func (o Options) Run(ctx context.Context, out io.Writer) error {
	s := &soak{options: o, ledger: rig.NewLedger(rig.Root(site)), seen: make(chan struct{})}
	s.plant = &rig.Plant{Programs: o.Programs, Camera: true, Take: s.take}
	if err := s.run(ctx); err != nil {
		return err
	}
	return s.report(out)
}

type soak struct {
	options Options
	plant   *rig.Plant
	ledger  *rig.Ledger
	curve   []point
	outages int
	away    time.Duration // the sum of outages

	once sync.Once
	seen chan struct{} // closed at the model's first verdict

	mu     sync.Mutex
	health message.Health
	parts  map[string]struct{ Counters map[string]uint64 }
}

// point is one reading of every program.
type point struct {
	at                   time.Duration
	agent, model, camera rig.Usage
	goroutines           int
	outboxBytes          int64
	waiting              int
}

func (s *soak) run(ctx context.Context) error {
	err := s.plant.Start(ctx, site)
	if err == nil {
		err = s.watch(ctx)
	}
	return errors.Join(err, s.plant.Stop())
}

func (s *soak) take(topic string, payload []byte) {
	s.ledger.Receive(topic, payload)
	switch strings.TrimPrefix(topic, rig.Root(site)) {
	case message.TopicHealth:
		s.mu.Lock()
		defer s.mu.Unlock()
		var parts struct {
			Parts map[string]struct{ Counters map[string]uint64 }
		}
		if errors.Join(json.Unmarshal(payload, &s.health), json.Unmarshal(payload, &parts)) == nil {
			s.parts = parts.Parts
		}
	case message.TopicState:
		if bytes.Contains(payload, []byte(`"source":"model"`)) {
			s.once.Do(func() { close(s.seen) })
		}
	}
}

// watch reads every program while outages come and go: three in a short run, one every
// five minutes of a long one. An outage lasts a quarter of the time between two.
func (s *soak) watch(ctx context.Context) error {
	link, pid := s.plant.Link, s.plant.Agent.Process.Pid
	select {
	case <-s.seen:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2 * time.Minute):
		return errors.New("no verdict of the model within 2 minutes")
	}
	length := time.Duration(s.options.Minutes * float64(time.Minute))
	between := min(max(length/3, 40*time.Second), 5*time.Minute)
	pause := max(length/240, 500*time.Millisecond)
	began, next, back := time.Now(), between/2, time.Duration(0)
	for ; time.Since(began) < length && ctx.Err() == nil; time.Sleep(pause) {
		now := time.Since(began)
		switch {
		case back == 0 && now > next && now+between/4 < length:
			link.Stop()
			s.outages++
			back = now + between/4
		case back > 0 && now > back:
			if err := link.Start(); err != nil {
				return err
			}
			s.away += between / 4
			next, back = now+between, 0
		}
		if err := s.read(pid, now); err != nil {
			return err
		}
	}
	if back > 0 {
		if err := link.Start(); err != nil {
			return err
		}
		s.away += between / 4
	}
	s.settle(ctx)
	return ctx.Err()
}

func (s *soak) read(pid int, at time.Duration) error {
	agent, err := rig.ReadUsage(pid)
	if err != nil {
		return fmt.Errorf("the agent: %w", err)
	}
	p := point{at: at, agent: agent}
	kin, err := rig.Children(pid)
	if err != nil {
		return fmt.Errorf("the agent's children: %w", err)
	}
	for name, to := range map[string]*rig.Usage{"meltwatch-infer": &p.model, "meltwatch-camera": &p.camera} {
		if child := kin[name]; child != 0 {
			if *to, err = rig.ReadUsage(child); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if p.outboxBytes, err = rig.FolderSize(s.plant.Outbox()); err != nil {
		return fmt.Errorf("the outbox: %w", err)
	}
	s.mu.Lock()
	p.goroutines, p.waiting = s.health.Goroutines, s.waiting()
	s.mu.Unlock()
	s.curve = append(s.curve, p)
	return nil
}

// waiting returns how many records wait, as the agent reports. The caller holds mu.
func (s *soak) waiting() int {
	c := s.parts["mqtt"].Counters
	return int(c["waiting_event"] + c["waiting_state"] + c["waiting_current"])
}

// settle waits, for a minute at most, until the records of the last outage have arrived.
// The report lists the missing ones.
func (s *soak) settle(ctx context.Context) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(time.Second) {
		if s.ledger.Gaps(message.ClassEvent)+s.ledger.Gaps(message.ClassCurrent) == 0 {
			return
		}
	}
}

// Package box measures how many furnaces one box can watch: agents side by side, each with
// children of its own, which share the pages of their libraries.
package box

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"meltwatch/agent/message"
	"meltwatch/bench/performance/figures"
	"meltwatch/bench/rig"
	"meltwatch/percentile"
	"meltwatch/simulator/broker"
)

// Options are the programs.
type Options struct {
	Programs rig.Programs
	Many     bool // many furnaces with current alone, to see where a box ends
	Brief    bool // a fifth of the time and two furnaces at most, to see that it works
}

const (
	site  = "box"
	watch = 20 * time.Second
	// settle fills enough of the window for the model to decide.
	settle = 40 * time.Second
	// A few furnaces start at once, further ones at this pace: a model takes some seconds of a
	// core to load, and one that is not loaded within half a minute is started again.
	few  = 8
	pace = 2 * time.Second
)

// kind is a kind of furnace, and how many of it are watched at once.
type kind struct {
	name   string
	camera bool
	counts []int
	// ends is whether the box may be too small for the greatest count, so that processes are
	// replaced because they do not answer in time.
	ends bool
}

func kinds(many bool) []kind {
	if many {
		return []kind{{name: "current", counts: []int{32, 64, 96}, ends: true}}
	}
	return []kind{{name: "current", counts: []int{1, 4, 16}}, {name: "whole", camera: true, counts: []int{1, 2, 4, 8}}}
}

// Measure makes one round: every number of furnaces once.
func (o Options) Measure(ctx context.Context, _ int) (figures.Round, error) {
	all := figures.Round{}
	for _, k := range kinds(o.Many) {
		if err := o.measure(ctx, k, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// measure watches each number of furnaces of a kind: to those of one it adds those that the
// next one lacks.
func (o Options) measure(ctx context.Context, k kind, into figures.Round) (err error) {
	p := &rig.Plant{Programs: o.Programs, Camera: k.camera, Take: func(string, []byte) {}}
	defer func() { err = errors.Join(err, p.Stop()) }()
	if err := p.Start(ctx, site); err != nil {
		return err
	}
	heard := &states{}
	subscriber, err := broker.Subscribe(p.Broker.URL(), "box", message.Root(site, "+")+message.TopicState, heard.take)
	if err != nil {
		return err
	}
	defer subscriber.Disconnect(100)
	agents := []*exec.Cmd{p.Agent}
	for _, count := range k.counts {
		if o.Brief && count > 2 {
			continue
		}
		for len(agents) < count {
			agent, err := p.StartMore()
			if err != nil {
				return err
			}
			agents = append(agents, agent)
			if len(agents) <= few {
				continue
			}
			if err := rig.Pause(ctx, pace); err != nil {
				return err
			}
		}
		if err := o.watch(ctx, k, agents, heard, into); err != nil {
			return fmt.Errorf("%d furnaces, %s: %w", count, k.name, err)
		}
	}
	return nil
}

// watch lets furnaces settle and watches them.
func (o Options) watch(ctx context.Context, k kind, agents []*exec.Cmd, heard *states, into figures.Round) error {
	count, lasts := len(agents), watch
	if o.Brief {
		lasts /= 5
	}
	if err := rig.Pause(ctx, settle); err != nil {
		return err
	}
	before, err := spent(agents)
	if err != nil {
		return err
	}
	began := time.Now()
	heard.count(true)
	if err := rig.Pause(ctx, lasts); err != nil {
		return err
	}
	heard.count(false)
	lasted := time.Since(began)
	after, err := spent(agents)
	if err != nil {
		return err
	}
	ended := after.ended(before)
	switch wanted := count * k.processes(); {
	case k.ends:
		into[k.prefix(count)+"replaced"] = float64(ended)
	case ended > 0 || len(before.processes) != wanted || len(after.processes) != wanted:
		// What the others had used would be missing.
		return fmt.Errorf("of %d processes %d ran at the begin of the watch and %d at its end, %d of them new: measure again",
			wanted, len(before.processes), len(after.processes), len(after.processes)-len(before.processes)+ended)
	}
	after.figures(into, k.prefix(count), count, lasted, before)
	heard.figures(into, k.prefix(count), count, lasted)
	return nil
}

// prefix begins the names of the figures of a number of furnaces.
func (k kind) prefix(count int) string { return fmt.Sprintf("%d %s ", count, k.name) }

// processes is how many processes watch one furnace.
func (k kind) processes() int {
	if k.camera {
		return 3
	}
	return 2
}

// used is what a number of agents with their children have used so far.
type used struct {
	cpu       time.Duration
	share     float64 // MB
	processes []int   // their numbers
}

// ended counts the processes of before that have ended.
func (u used) ended(before used) (count int) {
	for _, pid := range before.processes {
		if !slices.Contains(u.processes, pid) {
			count++
		}
	}
	return count
}

// figures adds what each furnace used since before, under names that begin with name.
func (u used) figures(into figures.Round, name string, count int, lasted time.Duration, before used) {
	into[name+"core"] = 100 * float64(u.cpu-before.cpu) / float64(lasted) / float64(count)
	into[name+"PSS"] = u.share / float64(count)
}

// spent is what the agents and their children have used. A child may end while it is read.
func spent(agents []*exec.Cmd) (all used, err error) {
	for range 5 {
		if all, err = read(agents); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return all, err
}

func read(agents []*exec.Cmd) (all used, err error) {
	for _, agent := range agents {
		processes, err := rig.Children(agent.Process.Pid)
		if err != nil {
			return all, err
		}
		processes["meltwatch"] = agent.Process.Pid
		for name, pid := range processes {
			cpu, err := rig.CPUTime(pid)
			if err != nil {
				return all, fmt.Errorf("%s: %w", name, err)
			}
			memory, err := rig.ReadUsage(pid)
			if err != nil {
				return all, fmt.Errorf("%s: %w", name, err)
			}
			all.processes = append(all.processes, pid)
			all.cpu += cpu
			all.share += float64(memory.Share) / 1e6
		}
	}
	return all, nil
}

// states counts the seconds of all furnaces that arrive while it counts.
type states struct {
	mu       sync.Mutex
	counting bool
	seconds  map[second]bool // true if the model decided
	late     []time.Duration // from a window's end to its state
}

// second is a second of one furnace: the topic and the window's end.
type second struct {
	topic string
	end   time.Time
}

func (s *states) take(topic string, payload []byte) {
	now := time.Now()
	var state message.State
	if !strings.HasSuffix(topic, "/"+message.TopicState) || json.Unmarshal(payload, &state) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.counting {
		return
	}
	s.seconds[second{topic, state.Time}] = state.Source == "model"
	s.late = append(s.late, now.Sub(state.Time))
}

func (s *states) count(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counting = on
	if on {
		s.seconds, s.late = map[second]bool{}, nil
	}
}

// figures adds what arrived in a time, under names that begin with name.
func (s *states) figures(into figures.Round, name string, count int, lasted time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	decided := map[string]int{} // seconds by furnace
	for one, byModel := range s.seconds {
		if byModel {
			decided[one.topic]++
		}
	}
	// A watch of n seconds may begin and end between two states, so a furnace may tell of one
	// more, which must not hide a second that another furnace missed.
	each := int(lasted.Seconds())
	missed := count * each
	for _, seconds := range decided {
		missed -= min(seconds, each)
	}
	into[name+"missed"] = float64(missed)
	into[name+"due"] = float64(count * each)
	if len(s.late) > 0 {
		into[name+"p50"] = float64(percentile.Of(s.late, 50)) / float64(time.Millisecond)
		into[name+"p99"] = float64(percentile.Of(s.late, 99)) / float64(time.Millisecond)
	}
}

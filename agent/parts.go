package main

import (
	"context"
	"fmt"
	"reflect"
	"regexp"

	"meltwatch/agent/remote"
	"meltwatch/agent/supervisor"
	"meltwatch/config"
)

// Which part of the agent is built from which section of the configuration:
//
//	meters    meters                       the meters' lines close and open
//	camera    camera                       a new child opens the stream
//	decide    state, model.timeout, the    taken over between two seconds
//	          period of the currents
//	mqtt      mqtt, outbox                 a new connection; another broker's opens
//	                                       beside the old, which closes after it
//	log       log.level                    taken over
//	commands  commands                     taken over
//	models    remote, trust                taken over
//
// A part is replaced when its section differs, by reflect.DeepEqual, and at no
// other time; the others do not notice.

// part is a piece of the agent, built from its section and nothing else of the
// configuration.
type part struct {
	name    string
	section func(config.Config) any
	// build makes a life of the part; it starts nothing and touches nothing that
	// runs.
	build func(config.Config) (*life, error)

	built any // the section of now
	now   *life
}

// life is one life of a part, from one section. It can be ended and begun again.
type life struct {
	// enter puts it in the place of the life before.
	enter func()
	// run is its loop, under a supervisor; nil for a part that has none.
	run func(context.Context) error
	// inherit is called once the life before has ended; nil when it left nothing.
	inherit func()
	// abandon is called when a life that ran beside another is given up; may be nil.
	abandon func()
	// missing says what keeps it from having shown that it works; nil once it has.
	missing func() error
	// beside: the life before runs on until this one has shown that it works.
	beside bool

	end func() // ends the loop and waits; set by start
}

func worksAtOnce() error { return nil }

// start begins a life's loop.
func (a *agent) start(name string, l *life) {
	if l.run == nil {
		l.end = func() {}
		return
	}
	ctx, cancel := context.WithCancel(a.lifetime)
	done := make(chan struct{})
	a.running.Go(func() error {
		defer close(done)
		supervisor.Run(ctx, name, a.log, l.run)
		return nil
	})
	l.end = func() { cancel(); <-done }
}

// relieve puts one life in the place of another that has run.
func (a *agent) relieve(name string, before, after *life, started bool) {
	after.enter()
	before.end()
	if after.inherit != nil {
		after.inherit()
	}
	if !started {
		a.start(name, after)
	}
}

// replaced is a part whose life was changed, or is about to be.
type replaced struct {
	part          *part
	section       any
	before, after *life
}

// change is a set of parts on trial.
type change struct {
	agent  *agent
	parts  []replaced
	before config.Config
}

// Begin replaces the parts whose sections differ from what runs.
func (a *agent) Begin(wanted config.Config) (remote.Change, []remote.Fault) {
	a.changing.Lock()
	defer a.changing.Unlock()
	c := &change{agent: a, before: *a.config.Load()}
	var faults []remote.Fault
	for _, p := range a.parts {
		section := p.section(wanted)
		if reflect.DeepEqual(section, p.built) {
			continue
		}
		after, err := p.build(wanted)
		if err != nil {
			faults = append(faults, faultOf(p.name, err))
			continue
		}
		c.parts = append(c.parts, replaced{p, section, p.now, after})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	for _, r := range c.parts {
		if r.after.beside {
			a.start(r.part.name, r.after)
		} else {
			a.relieve(r.part.name, r.before, r.after, false)
		}
		r.part.now, r.part.built = r.after, r.section
	}
	a.config.Store(&wanted)
	return c, nil
}

// Begun is the change that the agent was started with.
func (a *agent) Begun(before config.Config) remote.Change {
	c := &change{agent: a, before: before}
	for _, p := range a.parts {
		if !reflect.DeepEqual(p.section(before), p.built) {
			c.parts = append(c.parts, replaced{part: p, section: p.built, after: p.now})
		}
	}
	return c
}

// Missing names what has made no progress yet.
func (c *change) Missing() (faults []remote.Fault) {
	for _, r := range c.parts {
		if err := r.after.missing(); err != nil {
			faults = append(faults, faultOf(r.part.name, err))
		}
	}
	return faults
}

// Keep ends the lives that ran on beside the new ones.
func (c *change) Keep() {
	c.agent.changing.Lock()
	defer c.agent.changing.Unlock()
	for _, r := range c.parts {
		if r.after.beside && r.before != nil {
			c.agent.relieve(r.part.name, r.before, r.after, true)
		}
	}
}

// Undo brings the lives before back.
func (c *change) Undo() {
	c.agent.changing.Lock()
	defer c.agent.changing.Unlock()
	for _, r := range c.parts {
		if r.before == nil { // the agent started with it
			c.rebuild(r)
			continue
		}
		if r.after.beside {
			if r.after.abandon != nil {
				r.after.abandon()
			}
			r.after.end()
		} else {
			c.agent.relieve(r.part.name, r.after, r.before, false)
		}
		r.part.now, r.part.built = r.before, r.part.section(c.before)
	}
	c.agent.config.Store(&c.before)
}

// rebuild goes back to a configuration that this process never ran.
func (c *change) rebuild(r replaced) {
	before, err := r.part.build(c.before)
	if err != nil {
		// It ran in the process before; what it lacks now, such as a file of a
		// secret, no other configuration gives back. The part stays as it is.
		c.agent.log.Error("part not rolled back", "part", r.part.name, "err", err)
		return
	}
	c.agent.relieve(r.part.name, r.after, before, false)
	r.part.now, r.part.built = before, r.part.section(c.before)
}

var keyed = regexp.MustCompile(`^([a-z][a-z0-9_]*(?:\.[A-Za-z0-9_-]+)+): `)

// faultOf takes the key from an error's beginning, where it names one.
func faultOf(part string, err error) remote.Fault {
	text := err.Error()
	if found := keyed.FindStringSubmatch(text); found != nil {
		return remote.Fault{Key: found[1], Message: text[len(found[0]):]}
	}
	return remote.Fault{Key: part, Message: text}
}

// add builds a part's first life.
func (a *agent) add(name string, section func(config.Config) any, build func(config.Config) (*life, error)) error {
	first, err := build(*a.config.Load())
	if err != nil {
		return err
	}
	first.enter()
	if first.inherit != nil {
		first.inherit()
	}
	a.parts = append(a.parts, &part{name: name, section: section, build: build, built: section(*a.config.Load()), now: first})
	return nil
}

var errNothingYet = fmt.Errorf("nothing heard yet")

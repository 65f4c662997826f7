package agent

import (
	"errors"

	"meltwatch/agent/message"
	"meltwatch/agent/remote"
	"meltwatch/config"
)

// replaced is a part whose instance is replaced by a change.
type replaced struct {
	part          *part
	section       any
	before, after *instance
}

// change is a set of parts on trial.
type change struct {
	agent  *Agent
	parts  []replaced
	before config.Config
}

// Begin replaces the parts whose sections differ from the running configuration. If it
// returns faults, nothing has changed.
func (a *Agent) Begin(wanted config.Config) (remote.Change, []message.Fault) {
	a.changing.Lock()
	defer a.changing.Unlock()
	c := &change{agent: a, before: *a.config.Load()}
	var faults []message.Fault
	for _, p := range a.parts {
		if !p.differs(wanted) {
			continue
		}
		after, err := p.build(wanted)
		if err != nil {
			faults = append(faults, faultsOf(p.name, err)...)
			continue
		}
		c.parts = append(c.parts, replaced{p, p.section(wanted), p.now, after})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	for _, r := range c.parts {
		if r.after.overlap {
			a.start(r.part.name, r.after)
		} else {
			a.replace(r.part.name, r.before, r.after, false)
		}
		r.part.now, r.part.built = r.after, r.section
	}
	a.config.Store(&wanted)
	return c, nil
}

// Begun returns the change from before to the configuration with which the agent
// started.
func (a *Agent) Begun(before config.Config) remote.Change {
	c := &change{agent: a, before: before}
	for _, p := range a.parts {
		if p.differs(before) {
			c.parts = append(c.parts, replaced{part: p, section: p.built, after: p.now})
		}
	}
	return c
}

// Missing lists the parts that have made no progress yet.
func (c *change) Missing() (faults []message.Fault) {
	for _, r := range c.parts {
		if err := r.after.missing(); err != nil {
			faults = append(faults, faultsOf(r.part.name, err)...)
		}
	}
	return faults
}

// Keep stops the previous instances that still run beside the new ones.
func (c *change) Keep() {
	c.agent.changing.Lock()
	defer c.agent.changing.Unlock()
	for _, r := range c.parts {
		if r.after.overlap && r.before != nil {
			c.agent.replace(r.part.name, r.before, r.after, true)
		}
	}
}

// Undo restores the previous instances.
func (c *change) Undo() {
	c.agent.changing.Lock()
	defer c.agent.changing.Unlock()
	for _, r := range c.parts {
		if r.before == nil { // the agent started with it
			c.rebuild(r)
			continue
		}
		if r.after.overlap {
			if r.after.discard != nil {
				r.after.discard()
			}
			r.after.stop()
		} else {
			c.agent.replace(r.part.name, r.after, r.before, false)
		}
		r.part.now, r.part.built = r.before, r.part.section(c.before)
	}
	c.agent.config.Store(&c.before)
}

// rebuild restores a configuration that this process never ran.
func (c *change) rebuild(r replaced) {
	before, err := r.part.build(c.before)
	if err != nil {
		// The configuration ran in an earlier process, so its environment has changed:
		// a secret's file may be missing. The part stays as it is.
		c.agent.env.Log.Error("part not rolled back", "part", r.part.name, "err", err)
		return
	}
	c.agent.replace(r.part.name, r.after, before, false)
	r.part.now, r.part.built = before, r.part.section(c.before)
}

// faultsOf lists the faults joined in an error, each with its setting or with the part.
func faultsOf(part string, err error) []message.Fault {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // only a join at the top level is split
		var all []message.Fault
		for _, one := range joined.Unwrap() {
			all = append(all, faultsOf(part, one)...)
		}
		return all
	}
	var keyed *config.KeyError
	if errors.As(err, &keyed) {
		return []message.Fault{{Key: keyed.Key, Message: keyed.Err.Error()}}
	}
	return []message.Fault{{Key: part, Message: err.Error()}}
}

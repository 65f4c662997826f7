package agent

import (
	"slices"

	"meltwatch/config"
)

// add builds a part's first instance.
func (a *Agent) add(name string, section func(config.Config) any, build func(config.Config) (*instance, error)) error {
	first, err := build(*a.config.Load())
	if err != nil {
		return err
	}
	a.addBuilt(name, section, first, build)
	return nil
}

// has reports whether the part was built before.
func (a *Agent) has(name string) bool {
	return slices.ContainsFunc(a.parts, func(p *part) bool { return p.name == name })
}

func (a *Agent) addBuilt(name string, section func(config.Config) any, first *instance, build func(config.Config) (*instance, error)) {
	first.activate()
	if first.takeOver != nil {
		first.takeOver()
	}
	a.parts = append(a.parts, &part{name: name, section: section, build: build, built: section(*a.config.Load()), now: first})
}

// start starts an instance's loop.
func (a *Agent) start(name string, i *instance) {
	i.stop = func() {}
	if i.run != nil {
		i.stop = a.running.Start(name, i.run)
	}
}

// replace puts one instance in the place of another that has run.
func (a *Agent) replace(name string, before, after *instance, started bool) {
	after.activate()
	before.stop()
	if after.takeOver != nil {
		after.takeOver()
	}
	if !started {
		a.start(name, after)
	}
}

package agent

import (
	"context"
	"errors"
	"reflect"

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
//	metrics   metrics                      the server closes and opens
//
// A part is replaced when its section differs, by reflect.DeepEqual, and at no
// other time; the others do not notice.

// part is a piece of the agent, built from its section and nothing else of the
// configuration.
type part struct {
	name    string
	section func(config.Config) any
	// build makes an instance of the part; it starts nothing and touches nothing that
	// runs.
	build func(config.Config) (*instance, error)

	built any // the section of now
	now   *instance
}

// instance is a part as built from one section. It can be ended and started again.
type instance struct {
	// activate puts it in the place of the instance before.
	activate func()
	// run is its loop, under a supervisor; nil for a part that has none.
	run func(context.Context) error
	// takeOver is called once the instance before has ended; nil if that left nothing.
	takeOver func()
	// discard is called when an instance that ran beside another is given up; may be nil.
	discard func()
	// missing says what keeps it from having shown that it works; nil once it has.
	missing func() error
	// overlap: the instance before runs on until this one has shown that it works.
	overlap bool

	stop func() // ends the loop and waits; set by start
}

func worksAtOnce() error { return nil }

// differs reports whether a configuration asks for another instance.
func (p *part) differs(wanted config.Config) bool {
	return !reflect.DeepEqual(p.section(wanted), p.built)
}

var errNothingYet = errors.New("nothing heard yet")

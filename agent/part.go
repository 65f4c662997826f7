package agent

import (
	"context"
	"errors"
	"reflect"

	"meltwatch/config"
)

// Each part of the agent is built from a section of the configuration:
//
//	meters    meters                       the meters' lines close and open
//	camera    camera                       a new child opens the stream
//	decide    state, model.timeout, the    taken over between two seconds
//	          period of the currents,
//	          camera.delay, url and crop
//	mqtt      mqtt, outbox                 a new connection; another broker's opens
//	                                       beside the old, which closes after it
//	log       log.level                    taken over
//	commands  commands                     taken over
//	models    remote, trust                taken over
//	recorder  recorder                     a new recorder goes on with the recording
//	web       web                          the server closes and opens
//	metrics   metrics                      the server closes and opens
//
// A part is replaced only when its section differs, by reflect.DeepEqual. The other
// parts are not affected.

// part is a part of the agent, built from its section of the configuration only.
type part struct {
	name    string
	section func(config.Config) any
	// build builds an instance. It starts nothing and does not affect running parts.
	build func(config.Config) (*instance, error)

	built any // the section of the current instance
	now   *instance
}

// instance is a part built from one section. It can be stopped and started again.
type instance struct {
	// activate makes it the current instance.
	activate func()
	// run is its loop, which runs under a supervisor; nil for a part without a loop.
	run func(context.Context) error
	// takeOver is called when the previous instance has ended; it may be nil.
	takeOver func()
	// discard is called when an overlapping instance is rolled back; it may be nil.
	discard func()
	// missing returns why the instance has made no progress yet, or nil.
	missing func() error
	// overlap reports whether the previous instance runs until this one has made
	// progress.
	overlap bool

	stop func() // stops the loop and waits for its end; set by start
}

func worksAtOnce() error { return nil }

// differs reports whether a configuration requires another instance.
func (p *part) differs(wanted config.Config) bool {
	return !reflect.DeepEqual(p.section(wanted), p.built)
}

var errNothingYet = errors.New("nothing heard yet")

package agent

import (
	"context"
	"errors"
	"io"
	"sync"
)

// jobs runs commands of this program for the page, one at a time, each in a process of its
// own at the lowest priority: neither their memory nor their faults are the watch's.
type jobs struct {
	agent *Agent
	// busy, none and stuck are the refusals: while one runs, of a cancel while none runs, and
	// while the process of the last one does not end.
	busy, none, stuck error

	asked chan *job
	mu    sync.Mutex // also of what the page shows of a job
	now   *job       // nil while none runs
	ended <-chan struct{}
}

// job is one run of a command.
type job struct {
	// work runs it. finish, with the lock held, takes its end: by whom it was cancelled, if it
	// was, and its error.
	work   func(ctx context.Context) error
	finish func(cancelled string, err error)

	cancel    context.CancelFunc // nil until Run has taken it
	cancelled string             // by whom
}

func newJobs(a *Agent, busy, none, stuck error) *jobs {
	return &jobs{agent: a, busy: busy, none: none, stuck: stuck, asked: make(chan *job, 1)}
}

var errNoProgram = errors.New("the program meltwatch is missing: install the package again")

// start starts a job, unless another one runs. begun is called with the lock held.
func (js *jobs) start(one *job, begun func()) error {
	if js.agent.env.Program == "" {
		return errNoProgram
	}
	js.mu.Lock()
	defer js.mu.Unlock()
	switch {
	case js.now != nil:
		return js.busy
	case !closed(js.ended):
		return js.stuck
	}
	js.now = one
	begun()
	js.asked <- one // there is room: none ran
	return nil
}

// Cancel ends the job that runs.
func (js *jobs) Cancel(by string) error {
	js.mu.Lock()
	defer js.mu.Unlock()
	if js.now == nil {
		return js.none
	}
	js.now.cancelled = by
	js.now.end()
	return nil
}

// end cancels a job that Run has taken. The lock is held.
func (one *job) end() {
	if one.cancel != nil {
		one.cancel()
	}
}

// Run runs what the page asks for until ctx ends.
func (js *jobs) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case one := <-js.asked:
			js.run(ctx, one)
		}
	}
}

func (js *jobs) run(ctx context.Context, one *job) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	js.mu.Lock()
	if one.cancel = cancel; one.cancelled != "" { // before it was taken
		cancel()
	}
	js.mu.Unlock()
	err := one.work(ctx)
	js.mu.Lock()
	defer js.mu.Unlock()
	js.now = nil
	one.finish(one.cancelled, err)
}

// process runs a command aside, and remembers whether its process has ended.
func (js *jobs) process(ctx context.Context, out io.Writer, arguments ...string) error {
	return js.agent.aside(ctx, out, func(ended <-chan struct{}) {
		js.mu.Lock()
		defer js.mu.Unlock()
		js.ended = ended
	}, arguments...)
}

func closed(ended <-chan struct{}) bool {
	if ended == nil {
		return true
	}
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

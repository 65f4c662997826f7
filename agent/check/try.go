package check

import (
	"context"
	"sync"
)

// answered is the observer of a part under test: it stores the last fault and the first
// OK.
type answered struct {
	ok    chan struct{}
	once  sync.Once
	mu    sync.Mutex
	fault error
}

func (a *answered) Beat()                   {}
func (a *answered) Count(map[string]uint64) {}
func (a *answered) OK()                     { a.once.Do(func() { close(a.ok) }) }
func (a *answered) Fault(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = err
}

// try runs a part until it reports OK, or ctx ends.
func try(ctx context.Context, run func(context.Context, *answered) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &answered{ok: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, a) }()
	select {
	case <-a.ok:
		cancel()
		<-ended //nolint:errcheck // it worked, so a later error does not matter
		return nil
	case err := <-ended:
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.fault != nil {
			return a.fault
		}
		return err
	}
}

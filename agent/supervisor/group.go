package supervisor

import (
	"context"
	"log/slog"
	"sync"
)

// Group runs parts that start and stop independently of each other, each under Run.
type Group struct {
	log *slog.Logger

	mu      sync.Mutex
	ended   bool
	cancels map[int]context.CancelFunc
	next    int
	running sync.WaitGroup
}

// NewGroup returns a group without parts.
func NewGroup(log *slog.Logger) *Group {
	return &Group{log: log, cancels: map[int]context.CancelFunc{}}
}

// Start starts a part. stop stops the part and waits until it has returned; it may be
// called several times. After Stop, Start does nothing.
func (g *Group) Start(name string, part func(context.Context) error) (stop func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	id, done := g.next, make(chan struct{})
	g.next++
	g.cancels[id] = cancel
	g.running.Go(func() {
		defer close(done)
		Run(ctx, name, g.log, part)
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.cancels, id)
	})
	return func() { cancel(); <-done }
}

// Stop stops every part and waits for all of them.
func (g *Group) Stop() {
	g.mu.Lock()
	g.ended = true
	for _, cancel := range g.cancels {
		cancel()
	}
	g.mu.Unlock()
	g.running.Wait()
}

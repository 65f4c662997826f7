package probe

import (
	"context"
	"fmt"
	"image"
	"slices"
	"time"

	"meltwatch/child"
	"meltwatch/drivers"
)

// goal is what a session is followed for.
type goal struct {
	full bool // pictures, and not only the first packet
	// deadline ends the measurement. late replaces it while packets come that hold no key
	// frame yet, and while the picture has not changed: that is worth more than the other
	// transport.
	deadline, late time.Time
}

func (g goal) reached(r drivers.StreamReport, watched time.Duration, still bool) bool {
	switch {
	case !g.full && r.Packets > 0:
		return true
	case g.full && still:
		return !r.Status.Live() || !time.Now().Before(g.late)
	case g.full && r.Packets > 0 && r.Decoded == 0:
		return !time.Now().Before(g.late)
	default:
		return g.full && watched >= enough && r.KeyFrames >= 2 || !time.Now().Before(g.deadline)
	}
}

// follow asks for reports until enough is known, the session fails before a packet came,
// or the deadline has passed.
func (p *prober) follow(ctx context.Context, goal goal) (drivers.StreamReport, error) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var best drivers.StreamReport // of the session with the most pictures
	var pictures time.Time        // when the first was decoded
	for {
		r, err := child.Call[drivers.StreamReport](ctx, p.process, "Camera.Report", struct{}{})
		if err != nil {
			return best, fmt.Errorf("the camera's program: %w", err)
		}
		if r.Attempts < best.Attempts || r.Packets < best.Packets {
			p.interrupted(r.Ended)
		}
		if r.Packets > 0 || best.Packets == 0 {
			best = r
		}
		if r.Decoded > 0 && pictures.IsZero() {
			pictures = time.Now()
		}
		var watched time.Duration
		if !pictures.IsZero() {
			watched = time.Since(pictures)
		}
		if err := p.compare(ctx, goal, r, watched); err != nil {
			return best, err
		}
		failed := r.Packets == 0 && r.Ended != "" && best.Packets == 0
		if failed || goal.reached(r, watched, p.still) {
			return best, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return best, ctx.Err()
		}
	}
}

// compare takes one picture at first and one at last, and notes whether they differ. A
// live picture has the sensor's noise and a moving furnace in it.
func (p *prober) compare(ctx context.Context, goal goal, r drivers.StreamReport, watched time.Duration) (err error) {
	switch {
	case !goal.full || r.Decoded == 0 || !r.Status.Live():
	case p.first == nil:
		p.first, err = fetch(ctx, p.process)
	case !p.compared && watched >= enough:
		p.compared = true
		var now image.Image
		now, err = fetch(ctx, p.process)
		p.still = err == nil && alike(p.first, now)
	}
	return err
}

// mostInterruptions bounds what is kept of a stream that breaks again and again.
const mostInterruptions = 3

func (p *prober) interrupted(why string) {
	if why != "" && len(p.broken) < mostInterruptions && !slices.Contains(p.broken, why) {
		p.broken = append(p.broken, why)
	}
}

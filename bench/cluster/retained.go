package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"

	"meltwatch/bench/rig"
)

// wills counts agents that freeze: those that the cluster then calls offline, and those
// that are online again afterwards.
type wills struct{ agents, offline, online int }

// takeAway freezes the connections of a few agents, which neither close nor answer.
func (t *trial) takeAway(ctx context.Context, folder string) (w wills, err error) {
	w.agents = min(10, t.Agents)
	link, err := rig.StartLink(t.servers.nodes[0].mqtt)
	if err != nil {
		return w, fmt.Errorf("proxy: %w", err)
	}
	defer link.Stop()
	frozen, err := startFleet(ctx, t.historian.watch, "frozen", w.agents, 1, []string{link.Listen}, folder)
	if err != nil {
		return w, err
	}
	defer frozen.stop()
	defer close(frozen.quiet)
	if w.online, err = t.await(ctx, frozen, "online"); err != nil || w.online < w.agents {
		return w, errors.Join(err, errIncomplete)
	}
	if err := freeze(link); err != nil {
		return w, err
	}
	if w.offline, err = t.await(ctx, frozen, "offline"); err != nil {
		return w, err
	}
	for _, name := range toxics {
		if err := link.Toxics.RemoveToxic(ctx, name); err != nil {
			return w, fmt.Errorf("proxy: %w", err)
		}
	}
	w.online, err = t.await(ctx, frozen, "online")
	return w, err
}

var toxics = []string{"upstream", "downstream"}

// freeze stops all data of a proxy and closes nothing.
func freeze(link *toxiproxy.Proxy) error {
	for _, way := range toxics {
		text := fmt.Sprintf(`{"name": %q, "type": "timeout", "stream": %q, "attributes": {"timeout": 0}}`, way, way)
		if _, err := link.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			return fmt.Errorf("proxy: %w", err)
		}
	}
	return nil
}

// await waits until all furnaces have an availability, for as long as a promise, and returns
// how many have it.
func (t *trial) await(ctx context.Context, f *fleet, availability string) (have int, err error) {
	for deadline := time.Now().Add(reconnected); ; {
		have = 0
		for _, one := range f.furnaces {
			if t.historian.availability(one.root) == availability {
				have++
			}
		}
		if have == len(f.furnaces) || time.Now().After(deadline) {
			return have, nil
		}
		if err := rig.Pause(ctx, 100*time.Millisecond); err != nil {
			return have, err
		}
	}
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"meltwatch/agent/message"
	"meltwatch/bench/rig"
	"meltwatch/percentile"
	"meltwatch/simulator/broker"
)

// bridged is what a site's own mosquitto, bridged to the cluster, costs and keeps.
type bridged struct {
	agents     int
	made, lost int
	repeated   int
	late       int             // live records after a newer one
	faults     []string        // breaches of the order of history, or of content
	age        []time.Duration // of states at the historian, while nothing is at fault
	took       time.Duration   // from the node's death until every furnace was heard again
	heard      bool            // within the promise
	desired    bool            // a document that was published at the cluster reached the site
	memory     int             // of the mosquitto, in bytes
}

// bridgeTopics are the lines of a bridge that carry what agents send, and what they are sent.
// What goes out must not come in again, so no line carries everything.
func bridgeTopics() string {
	var lines strings.Builder
	for direction, topics := range map[string][]string{
		"out": {
			message.TopicAvailability, message.TopicState, message.TopicCurrent, message.TopicEvent, message.TopicHealth,
			message.TopicHistory + "+", message.TopicConfigReported, message.TopicModelReported, message.TopicCommandResult,
			message.TopicSnapshot, message.TopicAlarm, message.TopicSuspicion,
		},
		"in": {message.TopicConfigDesired, message.TopicModelDesired, message.TopicModelChunk, message.TopicCommand},
	} {
		for _, topic := range topics {
			fmt.Fprintf(&lines, "topic %s %s 1\n", message.Root(site, "+")+topic, direction)
		}
	}
	return lines.String()
}

// bridge puts a mosquitto between a few agents and the cluster, kills the node that it is
// connected to, and counts what arrives.
func (t *trial) bridge(ctx context.Context, folder string) (b bridged, err error) {
	b.agents = min(10, t.Agents)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return b, err
	}
	var addresses []string
	for _, n := range t.servers.nodes {
		addresses = append(addresses, n.mqtt)
	}
	// One message in flight keeps the order; NATS does not know the bridges' own flag of the protocol.
	mosquitto, err := rig.StartMosquitto(ctx, folder, fmt.Sprintf(`persistence true
persistence_location %s/
connection cluster
addresses %s
remote_clientid site
local_clientid bridge
cleansession false
try_private false
notifications false
keepalive_interval 5
restart_timeout 1
max_inflight_messages 1
%s`, folder, strings.Join(addresses, " "), bridgeTopics()))
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, mosquitto.Stop()) }()
	fleet, err := startFleet(ctx, t.historian.watch, "bridged", b.agents, 1, []string{mosquitto.Address}, filepath.Join(folder, "agents"))
	if err != nil {
		return b, err
	}
	defer fleet.stop()
	if _, ok, err := t.waitHeard(ctx); err != nil || !ok {
		return b, errors.Join(err, errors.New("the furnaces behind the bridge are not heard"))
	}
	t.historian.timeAge(true)
	if err := rig.Pause(ctx, t.Steady); err != nil {
		return b, err
	}
	b.age = t.historian.timeAge(false)
	if b.desired, err = t.desires(ctx, mosquitto.URL(), fleet.furnaces[0].root+message.TopicConfigDesired); err != nil {
		return b, err
	}
	usage, err := rig.ReadUsage(mosquitto.PID())
	if err != nil {
		return b, err
	}
	b.memory = usage.Share
	first := t.servers.nodes[0]
	killed, err := t.make(ctx, fault{"the node of the bridge is killed", func() error { return first.end(syscall.SIGKILL) }, func() error { return first.start(ctx) }, true})
	if err != nil {
		return b, err
	}
	b.took, b.heard = killed.during, killed.heard
	if err := fleet.settle(ctx, delivered); err != nil {
		return b, err
	}
	s := sumsOf(fleet)
	b.made, b.lost, b.repeated, b.late, b.faults = s.made, s.lostEvents+s.lostSamples, s.repeated, s.late, s.faults
	return b, nil
}

// desires publishes a document at the cluster, and reports whether it reaches the site's broker.
func (t *trial) desires(ctx context.Context, site, topic string) (arrived bool, err error) {
	came := make(chan struct{}, 1)
	there, err := broker.Subscribe(site, "box", topic, func(string, []byte) {
		select {
		case came <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return false, err
	}
	defer there.Disconnect(100)
	if p := t.historian.client.Publish(topic, 1, true, "{}"); !p.WaitTimeout(delivered) || p.Error() != nil {
		return false, fmt.Errorf("publish %s: %w", topic, p.Error())
	}
	select {
	case <-came:
		return true, nil
	case <-time.After(reconnected):
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// broken returns an error if a promise was broken.
func (b bridged) broken() error {
	if b.lost > 0 || len(b.faults) > 0 || !b.heard || !b.desired {
		return fmt.Errorf("behind the bridge: %d records lost, breaches %q, heard again %t, documents arrive %t", b.lost, b.faults, b.heard, b.desired)
	}
	return nil
}

func (b bridged) write(page *strings.Builder) {
	table(page, "A site's mosquitto bridged to the cluster, whose node it is connected to is killed |", func(row func(string, string, ...any)) {
		row("agents", "%d", b.agents)
		row("events and samples made", "%d", b.made)
		row("of these lost", "%d", b.lost)
		row("records repeated", "%d", b.repeated)
		row("live records after a newer one, the first ten of a furnace counted", "%d", b.late)
		row("breaches of the order of history, or of content", "%d", len(b.faults))
		row("every furnace heard again, while the node stays dead, after", "%s", until(b.took))
		row("age of a state at the subscriber, p50 and p99", "%d ms, %d ms", percentile.Of(b.age, 50).Milliseconds(), percentile.Of(b.age, 99).Milliseconds())
		row("a document published at the cluster reached the site within 30 s", "%s", map[bool]string{true: "yes", false: "**no**"}[b.desired])
		row("memory of the mosquitto", "%.1f MB", float64(b.memory)/1e6)
	})
}

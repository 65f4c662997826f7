package cluster

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"meltwatch/agent/message"
)

var errIncomplete = errors.New("wills or retained topics are missing")

// outOfOrder is how the ledger says that a record came after a newer one.
const outOfOrder = "first delivered after"

// sums are what all ledgers count together.
type sums struct {
	made, received, repeated int
	lostEvents, lostSamples  int
	late                     int      // live records after a newer one, of the few that a ledger names
	faults                   []string // breaches of the order of history, or of content
	silent                   int      // faults after which a furnace was not heard in time
}

func (t *trial) sums() sums {
	s := sumsOf(t.fleet)
	for _, step := range t.steps {
		if !step.heard {
			s.silent++
		}
	}
	return s
}

// sumsOf sums up what was made by a fleet and what arrived.
func sumsOf(fleet *fleet) (s sums) {
	for _, f := range fleet.furnaces {
		made, received, repeated := f.ledger.Sums()
		events, samples := f.lost()
		s.made, s.received, s.repeated = s.made+made, s.received+received, s.repeated+repeated
		s.lostEvents, s.lostSamples = s.lostEvents+events, s.lostSamples+samples
		for _, fault := range f.ledger.Faults() {
			// A cluster may deliver a live message after a newer one when the subscriber's
			// node dies; the stamp tells. History is in order, as the agent sends it.
			if strings.Contains(fault, outOfOrder) && !strings.Contains(fault, f.root+message.TopicHistory) {
				s.late++
			} else {
				s.faults = append(s.faults, fault)
			}
		}
	}
	return s
}

// report returns the tables, and an error if a promise was broken.
func (t *trial) report() (string, error) {
	s, page := t.sums(), new(strings.Builder)
	fmt.Fprintf(page, "%d agents on three nodes of nats-server, all on %d cores, `max_ack_pending: %d`; each fault lasts %s.\n", t.Agents, runtime.NumCPU(), t.Pending, t.Fault)
	if t.Rarer > 1 {
		fmt.Fprintf(page, "Each agent's messages are %d times rarer than a furnace's, so this shows connections, sessions and storms of %d agents, but not their load.\n", t.Rarer, t.Agents)
	}
	fmt.Fprint(page, "\n| Fault | every furnace heard again while it lasts, after | … after its end |\n|---|---|---|\n")
	for _, step := range t.steps {
		during := "–"
		if step.during > 0 {
			during = until(step.during)
		}
		fmt.Fprintf(page, "| %s | %s | %s |\n", step.name, during, until(step.after))
	}
	table(page, "Delivery, all faults together |", func(row func(string, string, ...any)) {
		row("events and samples made", "%d", s.made)
		row("events lost", "%d", s.lostEvents)
		row("samples lost", "%d", s.lostSamples)
		row("records received, states included", "%d", s.received)
		row("of these repeated", "%d", s.repeated)
		row("live records after a newer one, the first ten of a furnace counted", "%d", s.late)
		row("breaches of the order of history, or of content", "%d", len(s.faults))
	})
	each := float64(t.Agents)
	table(page, "A furnace costs |", func(row func(string, string, ...any)) {
		row("messages a second, to one subscriber", "%.2f", t.cost.messages)
		row("bytes a second of topic and payload", "%.0f", t.cost.bytes)
		row("memory of all nodes together", "%.2f MB", float64(t.cost.memory)/1e6/each)
		row("processor time of all nodes together", "%.2f %% of a core", 100*t.cost.cpu/each)
	})
	table(page, "What agents make the cluster keep, independent of its speed |", func(row func(string, string, ...any)) {
		row("JetStream consumers, before the faults", "%d", t.keeps.before.consumers)
		row("… after all faults, with the same agents", "%d", t.keeps.after.consumers)
		row("requests of JetStream's API until every furnace is heard after the storm", "%d", t.keeps.storm.requests)
		row("of these answered by an error", "%d", t.keeps.storm.errors)
	})
	table(page, "Connections that neither close nor answer |", func(row func(string, string, ...any)) {
		row("agents", "%d", t.wills.agents)
		row("of these called offline by their will within 30 s", "%d", t.wills.offline)
		row("online again within 30 s", "%d", t.wills.online)
	})
	t.bridged.write(page)
	fmt.Fprintf(page, "\n`meltctl list` with %d agents in retained topics: %d in %.1f s.\n", t.Options.Listed, t.listed.Agents, t.listed.Took.Seconds())
	for _, fault := range s.faults {
		fmt.Fprintf(page, "\n- %s", fault)
	}
	return page.String(), t.broken(s)
}

func (t *trial) broken(s sums) (err error) {
	if s.lostEvents+s.lostSamples+len(s.faults)+s.silent > 0 {
		err = fmt.Errorf("%d events and %d samples lost, %d breaches of order or content, %d faults after which a furnace was silent for more than %s",
			s.lostEvents, s.lostSamples, len(s.faults), s.silent, reconnected)
	}
	if t.wills.offline != t.wills.agents || t.wills.online != t.wills.agents || t.listed.Agents < t.Options.Listed {
		err = errors.Join(err, errIncomplete)
	}
	return errors.Join(err, t.bridged.broken())
}

// until is how long every furnace took to be heard.
func until(took time.Duration) string {
	if took > givenUp {
		return fmt.Sprintf("not within %s", givenUp)
	}
	return fmt.Sprintf("%.1f s", took.Seconds())
}

func table(page *strings.Builder, head string, rows func(row func(name, format string, values ...any))) {
	fmt.Fprintf(page, "\n| %s |\n|---|---|\n", head)
	rows(func(name, format string, values ...any) {
		fmt.Fprintf(page, "| %s | %s |\n", name, fmt.Sprintf(format, values...))
	})
}

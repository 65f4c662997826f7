package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// overview is what list and watch show of an agent, out of several payloads.
type overview struct {
	State string `json:"state"`
	Held  bool   `json:"held"`
	Model struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"model"`
}

type healthOf struct {
	Agent string    `json:"agent"`
	Time  time.Time `json:"time"`
	Parts map[string]struct {
		Status string `json:"status"`
	} `json:"parts"`
}

func (f *fleet) overview(agent string) (o overview) {
	if json.Unmarshal(f.payload(agent, "state"), &o) != nil {
		return overview{State: "?"}
	}
	if o.Held {
		o.State += " (held)"
	}
	return o
}

// health is the agent's version and the parts that are at fault.
func (f *fleet) health(agent string) (version, ills string) {
	var h healthOf
	if json.Unmarshal(f.payload(agent, "health"), &h) != nil || h.Agent == "" { // a probe of check names no agent
		return "?", "?"
	}
	var ill []string
	for name, part := range h.Parts {
		if part.Status != "ok" {
			ill = append(ill, name)
		}
	}
	slices.Sort(ill)
	if len(ill) == 0 {
		return h.Agent, "ok"
	}
	return h.Agent, strings.Join(ill, " ")
}

type listCommand struct {
	brokerFlags
	Agents string `arg:"" default:"all" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
}

// Run prints a line an agent.
func (c listCommand) Run(o outside) error {
	return c.with(o.ctx, func(f *fleet) error {
		agents, err := f.choose(c.Agents)
		if err != nil {
			return err
		}
		return f.table(o.out, agents)
	})
}

func (f *fleet) table(out io.Writer, agents []string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, err := fmt.Fprintln(table, "AGENT\tIS\tFURNACE\tVERSION\tHEALTH\tMODEL\tROLL-OUT\tCONFIG")
	for _, agent := range agents {
		o := f.overview(agent)
		version, ills := f.health(agent)
		config, model := f.configReport(agent), f.modelReport(agent)
		cells := []string{
			agent, text(f.payload(agent, "availability")), o.State, version, ills,
			strings.TrimSpace(o.Model.Name + " " + o.Model.Version), standing(model.Status, model.Revision, model.RunningRevision),
			standing(config.Status, config.Revision, config.RunningRevision),
		}
		for i := range cells {
			cells[i] = plain(short(cells[i]))
		}
		_, lineErr := fmt.Fprintln(table, strings.Join(cells, "\t"))
		err = errors.Join(err, lineErr)
	}
	return errors.Join(err, table.Flush())
}

// short bounds a cell: one agent must not push the others off the screen.
func short(cell string) string {
	const most = 64
	if runes := []rune(cell); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return cell
}

func text(payload []byte) string {
	if len(payload) == 0 {
		return "?"
	}
	return fmt.Sprintf("%.16s", payload)
}

// standing is where a document stands, and what runs instead.
func standing(status string, revision, running int64) string {
	switch {
	case status == "":
		return "-"
	case revision == running:
		return fmt.Sprintf("%d %s", revision, status)
	default:
		return fmt.Sprintf("%d %s, %d runs", revision, status, running)
	}
}

type watchCommand struct {
	brokerFlags
	Agents string `arg:"" default:"all" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
}

// Run prints a line for each change until told to stop or the connection is lost.
func (c watchCommand) Run(o outside) error {
	f, err := c.join(o.ctx)
	if err != nil {
		return err
	}
	defer f.leave()
	seen := map[string]string{}
	for {
		agents, err := f.choose(c.Agents)
		if err != nil {
			agents = nil // none yet
		}
		for _, agent := range agents {
			_, ills := f.health(agent)
			config, model := f.configReport(agent), f.modelReport(agent)
			now := fmt.Sprintf("%s, %s, health %s, config %s, model %s", text(f.payload(agent, "availability")), f.overview(agent).State, ills,
				standing(config.Status, config.Revision, config.RunningRevision), standing(model.Status, model.Revision, model.RunningRevision))
			if len(config.Errors) > 0 {
				now += ", " + faults(config.Errors)
			}
			if len(model.Errors) > 0 {
				now += ", " + faults(model.Errors)
			}
			if seen[agent] != now {
				seen[agent] = now
				say(o.out, "%s  %s  %s", time.Now().Format(time.TimeOnly), agent, now)
			}
		}
		if err := f.pause(o.ctx, 200*time.Millisecond); err != nil {
			if o.ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

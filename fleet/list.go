package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"meltwatch/agent/message"
)

// overview is what is shown of an agent's state.
type overview struct {
	State string `json:"state"`
	Held  bool   `json:"held"`
	// Level is none, suspected or alarm; empty with an agent of an older release.
	Level     string `json:"level,omitempty"`
	LevelHeld bool   `json:"level_held,omitempty"`
	// Unfamiliar are the senses that the model is not made for; nil while there is none.
	Unfamiliar *message.Unfamiliar `json:"unfamiliar,omitempty"`
	Model      struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"model"`
}

// model is the model's name and version, and the senses that it is not made for.
func (o overview) model() string {
	text := strings.TrimSpace(o.Model.Name + " " + o.Model.Version)
	switch u := o.Unfamiliar; {
	case u == nil:
		return text
	case u.Current && u.Video:
		return text + " (unfamiliar: current, video)"
	case u.Current:
		return text + " (unfamiliar: current)"
	case u.Video:
		return text + " (unfamiliar: video)"
	default:
		return text
	}
}

type healthOf struct {
	Agent string    `json:"agent"`
	Time  time.Time `json:"time"`
	Parts map[string]struct {
		Status string `json:"status"`
	} `json:"parts"`
}

func (c *connection) overview(agent string) (o overview) {
	if json.Unmarshal(c.payload(agent, message.TopicState), &o) != nil {
		return overview{State: "?"}
	}
	switch suspected := o.Level == "suspected"; {
	case suspected && o.LevelHeld:
		o.State += " (suspected, held)"
	case suspected:
		o.State += " (suspected)"
	case o.Held:
		o.State += " (held)"
	}
	return o
}

// health returns the agent's version and the names of its faulty parts, as text.
func (c *connection) health(agent string) (version, faulty string) {
	version, ill, known := c.faulty(agent)
	switch {
	case !known:
		return "?", "?"
	case len(ill) == 0:
		return version, "ok"
	default:
		return version, strings.Join(ill, " ")
	}
}

// faulty returns the agent's version and its faulty parts, if it has reported them.
func (c *connection) faulty(agent string) (version string, parts []string, known bool) {
	var h healthOf
	if json.Unmarshal(c.payload(agent, message.TopicHealth), &h) != nil || h.Agent == "" { // a probe of check names no agent
		return "", nil, false
	}
	parts = []string{}
	for name, part := range h.Parts {
		if part.Status != "ok" {
			parts = append(parts, name)
		}
	}
	slices.Sort(parts)
	return h.Agent, parts, true
}

// listed is an agent as JSON. What is unknown is empty.
type listed struct {
	Agent        string `json:"agent"`
	Availability string `json:"availability"`
	overview
	Version string `json:"version"`
	// Faulty are the parts whose status is not ok; null without a health report.
	Faulty  []string `json:"faulty_parts"`
	Config  document `json:"config"`
	RollOut document `json:"roll_out"`
}

// document is where a document stands, and which runs.
type document struct {
	Status          string          `json:"status"`
	Revision        int64           `json:"revision"`
	RunningRevision int64           `json:"running_revision"`
	Errors          []message.Fault `json:"errors"`
}

func (c *connection) listed(agent string) listed {
	version, faulty, _ := c.faulty(agent)
	config, model := c.configReport(agent), c.modelReport(agent)
	l := listed{
		Agent: agent, Availability: string(c.payload(agent, message.TopicAvailability)), Version: version, Faulty: faulty,
		Config:  document{config.Status, config.Revision, config.RunningRevision, config.Errors},
		RollOut: document{model.Status, model.Revision, model.RunningRevision, model.Errors},
	}
	if json.Unmarshal(c.payload(agent, message.TopicState), &l.overview) != nil {
		l.overview = overview{}
	}
	return l
}

// List prints one line for each agent, as a table or as JSON objects.
func (f Fleet) List(ctx context.Context, agents string, asJSON bool) error {
	return f.with(ctx, func(c *connection) error {
		chosen, err := c.choose(agents)
		if err != nil {
			return err
		}
		if !asJSON {
			return c.table(f.Out, chosen)
		}
		out := json.NewEncoder(f.Out)
		for _, agent := range chosen {
			if err := out.Encode(c.listed(agent)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *connection) table(out io.Writer, agents []string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, err := fmt.Fprintln(table, "AGENT\tIS\tFURNACE\tVERSION\tHEALTH\tMODEL\tROLL-OUT\tCONFIG")
	for _, agent := range agents {
		o := c.overview(agent)
		version, faulty := c.health(agent)
		config, model := c.configReport(agent), c.modelReport(agent)
		cells := []string{
			agent, text(c.payload(agent, message.TopicAvailability)), o.State, version, faulty,
			o.model(), revisionStatus(model.Status, model.Revision, model.RunningRevision),
			revisionStatus(config.Status, config.Revision, config.RunningRevision),
		}
		for i := range cells {
			cells[i] = printableLine(short(cells[i]))
		}
		_, lineErr := fmt.Fprintln(table, strings.Join(cells, "\t"))
		err = errors.Join(err, lineErr)
	}
	return errors.Join(err, table.Flush())
}

func text(payload []byte) string {
	if len(payload) == 0 {
		return "?"
	}
	return fmt.Sprintf("%.16s", payload)
}

// revisionStatus is where a document stands, and what runs instead.
func revisionStatus(status string, revision, running int64) string {
	switch {
	case status == "":
		return "-"
	case revision == running:
		return fmt.Sprintf("%d %s", revision, status)
	default:
		return fmt.Sprintf("%d %s, %d runs", revision, status, running)
	}
}

// Watch prints a line for each change until ctx ends or the connection is lost.
func (f Fleet) Watch(ctx context.Context, agents string) error {
	if err := checkPattern(agents); err != nil {
		return err
	}
	c, err := f.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err = c.gather(ctx, f.Wait); err == nil {
		err = c.follow(ctx, topicsOf)
	}
	if err != nil {
		return unlessOver(ctx, err)
	}
	if _, err := c.choose(agents); err != nil {
		printLine(f.Out, "%v", err) // one may come
	}
	seen := map[string]string{}
	for {
		chosen, err := c.choose(agents)
		if err != nil {
			chosen = nil // none has arrived yet
		}
		for _, agent := range chosen {
			if now := c.line(agent); seen[agent] != now {
				seen[agent] = now
				printLine(f.Out, "%s  %s  %s", time.Now().Format(time.TimeOnly), agent, now)
			}
		}
		if err := c.pause(ctx, 200*time.Millisecond); err != nil {
			return unlessOver(ctx, err)
		}
	}
}

// unlessOver is no error if the person has ended the command.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end was requested
	}
	return err
}

// line describes an agent in one line.
func (c *connection) line(agent string) string {
	_, faulty := c.health(agent)
	config, model := c.configReport(agent), c.modelReport(agent)
	line := fmt.Sprintf("%s, %s, health %s, config %s, model %s", text(c.payload(agent, message.TopicAvailability)), c.overview(agent).State, faulty,
		revisionStatus(config.Status, config.Revision, config.RunningRevision), revisionStatus(model.Status, model.Revision, model.RunningRevision))
	for _, errors := range [][]message.Fault{config.Errors, model.Errors} {
		if len(errors) > 0 {
			line += ", " + faults(errors)
		}
	}
	return line
}

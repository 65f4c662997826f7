package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"meltwatch/agent/message"
	"meltwatch/config"
)

// Changer changes the configuration on trial. Its methods are safe for concurrent use.
type Changer interface {
	// Configuration is what is in force and what may be done to it.
	Configuration() Configuration
	// Preview returns the settings that a merge patch would change, or why it is refused.
	Preview(change json.RawMessage) ([]config.Difference, []message.Fault)
	// Propose puts a merge patch on trial over the configuration with a digest, or returns
	// why not. Confirm keeps the change on trial; Withdraw rolls it back.
	Propose(ctx context.Context, by, over string, change json.RawMessage) []message.Fault
	Confirm(revision int64, by string) []message.Fault
	Withdraw(revision int64, by string) []message.Fault
}

// Configuration is the configuration in force.
type Configuration struct {
	// SHA256 identifies it, Revision its patch, 0 for the box's own file alone. From is where
	// the patch is from: file, desired or page; By is who made it on the page.
	SHA256   string `json:"sha256"`
	Revision int64  `json:"revision"`
	From     string `json:"from"`
	By       string `json:"by,omitempty"`
	// DelayS is how late the picture is set to be, camera.delay, in seconds.
	DelayS float64 `json:"delay_s"`
	// Closed is why the page may not change it; empty if it may.
	Closed []message.Fault `json:"closed,omitempty"`
	// Trial is a change from the page that waits for its confirmation, Outcome what became of
	// the last one.
	Trial   *Trial   `json:"trial,omitempty"`
	Outcome *Outcome `json:"outcome,omitempty"`
}

// Trial is a change on trial. It is rolled back in LeftS seconds unless it is confirmed.
type Trial struct {
	Revision int64   `json:"revision"`
	By       string  `json:"by"`
	LeftS    float64 `json:"left_s"`
}

// Outcome is what became of a change from the page.
type Outcome struct {
	Revision int64           `json:"revision"`
	Status   string          `json:"status"`
	Faults   []message.Fault `json:"faults,omitempty"`
}

// refuseFaults answers with the reasons why a change is refused.
func refuseFaults(w http.ResponseWriter, faults []message.Fault) {
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = strings.TrimPrefix(f.Key+": "+f.Message, ": ")
	}
	refuse(w, http.StatusConflict, strings.Join(lines, "\n"))
}

// configuration answers with the configuration in force, as text and with its state.
func (p *page) configuration(w http.ResponseWriter, _ *http.Request) {
	text, err := p.Config()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, struct {
		Configuration
		Text string `json:"text"`
	}{p.Changer.Configuration(), text})
}

// change reads the change that a request holds: a part of a configuration, in YAML or JSON.
func change(w http.ResponseWriter, text string) (json.RawMessage, bool) {
	patch, err := config.Fragment([]byte(text))
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return nil, false
	}
	return patch, true
}

// preview answers with what a change would change.
func (p *page) preview(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Text string `json:"text"`
	}
	if !read(w, r, &asked) {
		return
	}
	patch, ok := change(w, asked.Text)
	if !ok {
		return
	}
	over := p.Changer.Configuration().SHA256
	differences, faults := p.Changer.Preview(patch)
	if len(faults) > 0 {
		refuseFaults(w, faults)
		return
	}
	answer(w, map[string]any{"differences": differences, "over": over})
}

// propose puts a change on trial.
func (p *page) propose(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Text string `json:"text"`
		Over string `json:"over"`
	}
	if !read(w, r, &asked) {
		return
	}
	patch, ok := change(w, asked.Text)
	if !ok {
		return
	}
	by, _ := p.sessions.of(r)
	faults := p.Changer.Propose(r.Context(), by, asked.Over, patch)
	// A change may replace this very server, which ends its requests first: the next one
	// tells what becomes of the change.
	if len(faults) > 0 && r.Context().Err() == nil {
		refuseFaults(w, faults)
		return
	}
	answer(w, p.Changer.Configuration())
}

// deciding answers a request that confirms or withdraws the change on trial.
func (p *page) deciding(decide func(revision int64, by string) []message.Fault) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Revision int64 `json:"revision"`
		}
		if !read(w, r, &asked) {
			return
		}
		by, _ := p.sessions.of(r)
		if faults := decide(asked.Revision, by); len(faults) > 0 {
			refuseFaults(w, faults)
			return
		}
		answer(w, p.Changer.Configuration())
	}
}

// unchangeable is a configuration that does not change while the agent runs.
type unchangeable struct{}

const unchangeableReason = "this agent's configuration does not change while it runs: edit its file and start it again"

func (unchangeable) Configuration() Configuration {
	return Configuration{From: "file", Closed: message.OneFault("", unchangeableReason)}
}

func (unchangeable) Preview(json.RawMessage) ([]config.Difference, []message.Fault) {
	return nil, message.OneFault("", unchangeableReason)
}

func (unchangeable) Propose(context.Context, string, string, json.RawMessage) []message.Fault {
	return message.OneFault("", unchangeableReason)
}

func (unchangeable) Confirm(int64, string) []message.Fault {
	return message.OneFault("", unchangeableReason)
}

func (unchangeable) Withdraw(int64, string) []message.Fault {
	return message.OneFault("", unchangeableReason)
}

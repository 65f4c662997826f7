package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"meltwatch/agent/message"
	"meltwatch/agent/remote"
	"meltwatch/agent/web"
	"meltwatch/config"
)

// pageChanger changes the configuration for the page. Each step of a person is an event,
// beside those of the change itself.
type pageChanger struct {
	manager *remote.Manager
	event   func(kind, subject, from, to, cause string)
}

// Configuration is described at web.Changer.
func (p pageChanger) Configuration() web.Configuration {
	v := p.manager.View()
	c := web.Configuration{SHA256: v.SHA256, Revision: v.Revision, From: v.From, By: v.By, Closed: v.Closed, DelayS: v.Config.Camera.Delay.Seconds()}
	if t := v.Trial; t != nil {
		c.Trial = &web.Trial{Revision: t.Revision, By: t.By, LeftS: t.Left.Seconds()}
	}
	if o := v.Outcome; o.Revision > 0 {
		c.Outcome = &web.Outcome{Revision: o.Revision, Status: o.Status, Faults: o.Errors}
	}
	return c
}

// Preview is described at web.Changer.
func (p pageChanger) Preview(change json.RawMessage) ([]config.Difference, []message.Fault) {
	return p.manager.Preview(change)
}

// Propose is described at web.Changer.
func (p pageChanger) Propose(ctx context.Context, by, over string, change json.RawMessage) []message.Fault {
	differences, faults := p.manager.Preview(change) // for the event
	if len(faults) == 0 {
		faults = p.manager.Propose(ctx, remote.Proposal{By: by, Over: over, Change: change})
	}
	if len(faults) == 0 {
		p.told("proposed", p.manager.View().Revision, by, differences)
	}
	return faults
}

// Confirm is described at web.Changer.
func (p pageChanger) Confirm(revision int64, by string) []message.Fault {
	faults := p.manager.Confirm(revision)
	if len(faults) == 0 {
		p.told("confirmed", revision, by, nil)
	}
	return faults
}

// Withdraw is described at web.Changer.
func (p pageChanger) Withdraw(revision int64, by string) []message.Fault {
	faults := p.manager.Withdraw(revision)
	if len(faults) == 0 {
		p.told("withdrawn", revision, by, nil)
	}
	return faults
}

// maxChanged bounds the settings that an event lists.
const maxChanged = 10

func (p pageChanger) told(what string, revision int64, by string, differences []config.Difference) {
	var keys []string
	for _, d := range differences[:min(len(differences), maxChanged)] {
		keys = append(keys, d.Key)
	}
	if more := len(differences) - len(keys); more > 0 {
		keys = append(keys, fmt.Sprintf("and %d more", more))
	}
	cause := "by " + by
	if len(keys) > 0 {
		cause += ": " + strings.Join(keys, ", ")
	}
	p.event("config", "page", "", fmt.Sprintf("%s %d", what, revision), cause)
}

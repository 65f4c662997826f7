package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"meltwatch/agent/remote"
	"meltwatch/agent/remote/commit"
	"meltwatch/agent/remote/pack"
	"meltwatch/config/strict"
)

type configCommand struct {
	Get      configGet      `cmd:"" help:"Print what is wanted of an agent and what became of it."`
	Set      configSet      `cmd:"" help:"Want a JSON merge patch over the own file of each chosen agent."`
	Diff     configDiff     `cmd:"" help:"Print which settings a patch would change in what is wanted now."`
	Rollback configRollback `cmd:"" help:"Want again what was wanted before the last change."`
}

// with joins the fleet, waits for the retained topics, and calls f.
func (b brokerFlags) with(ctx context.Context, f func(*fleet) error) error {
	all, err := b.join(ctx)
	if err != nil {
		return err
	}
	defer all.leave()
	if err := all.gather(ctx, b.Wait); err != nil {
		return err
	}
	return f(all)
}

type configGet struct {
	brokerFlags
	Agents string `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
}

// Run prints both topics of each agent.
func (c configGet) Run(o outside) error {
	return c.with(o.ctx, func(f *fleet) error {
		agents, err := f.choose(c.Agents)
		if err != nil {
			return err
		}
		lines := json.NewEncoder(o.out)
		lines.SetIndent("", "  ")
		for _, agent := range agents {
			err = errors.Join(err, lines.Encode(map[string]any{
				"agent": agent, "desired": raw(f.payload(agent, "config/desired")), "reported": raw(f.payload(agent, "config/reported")),
			}))
		}
		return err
	})
}

// raw is JSON as it is, nil when there is none, a text when it is no JSON.
func raw(payload []byte) any {
	switch {
	case len(payload) == 0:
		return nil
	case json.Valid(payload):
		return json.RawMessage(payload)
	default:
		return string(payload)
	}
}

// keyFlags say who signs.
type keyFlags struct {
	Key     string `type:"existingfile" help:"Private key to sign with, as meltwatch model keygen wrote it."`
	KeyName string `help:"Name under which the boxes know the key."`
	Record  string `help:"File that remembers which revisions the key has signed; KEY.revisions beside the key by default."`
}

// record is the key's; nil without a key.
func (k keyFlags) record() (*record, error) {
	if k.Key == "" {
		return nil, nil
	}
	return openRecord(cmp.Or(k.Record, k.Key+".revisions"))
}

func (k keyFlags) read() (ed25519.PrivateKey, error) {
	if k.Key == "" {
		return nil, nil
	}
	if k.KeyName == "" {
		return nil, errors.New("--key-name is missing: the boxes know the key by its name in trust.config_keys")
	}
	return pack.ReadKey(k.Key)
}

// changeFlags are what set and rollback share.
type changeFlags struct {
	brokerFlags
	stageFlags
	keyFlags
	Deadline time.Duration `default:"60s" help:"How long changed parts have to show that they work."`
	Revision int64         `help:"Revision of the document; the one after the last by default."`
}

type configSet struct {
	changeFlags
	Agents string `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
	Patch  string `arg:"" type:"existingfile" help:"File with the JSON merge patch; {} is the box's own file alone."`
}

// Run changes the agents stage by stage.
func (c configSet) Run(o outside) error {
	patch, err := readPatch(c.Patch)
	if err != nil {
		return err
	}
	return c.change(o, c.Agents, func(remote.Desired) (json.RawMessage, error) { return patch, nil })
}

func readPatch(path string) (json.RawMessage, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	if err := strict.Decode(text, remote.MaxDesired, &object); err != nil {
		return nil, fmt.Errorf("%s holds no JSON object: %w", path, err)
	}
	return json.Marshal(object)
}

type configRollback struct {
	changeFlags
	Agents string `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
}

// Run wants the patch before the last, or the box's own file where there was none.
func (c configRollback) Run(o outside) error {
	return c.change(o, c.Agents, func(now remote.Desired) (json.RawMessage, error) {
		switch {
		case c.Key != "" && len(now.Config) == 0:
			return nil, errors.New("what stands at the broker was not signed by this key, so it may be anyone's: give the patch with config set")
		case len(now.Previous) == 0:
			return json.RawMessage("{}"), nil
		}
		return now.Previous, nil
	})
}

// change publishes a new revision for each agent and waits for what becomes of it.
func (c changeFlags) change(o outside, pattern string, next func(now remote.Desired) (json.RawMessage, error)) error {
	key, err := c.read()
	if err != nil {
		return err
	}
	signed, err := c.record()
	if err != nil {
		return err
	}
	if c.Revision < 0 || c.Revision > commit.MostRevision {
		return fmt.Errorf("--revision %d is out of bounds: want 1 to %d", c.Revision, int64(commit.MostRevision))
	}
	return c.with(o.ctx, func(f *fleet) error {
		return c.roll(o.ctx, o.out, f, pattern, func(ctx context.Context, agent string) error {
			now, newest := f.desiredOf(agent)
			if key != nil && !now.Signed(root+agent+"/", map[string]string{c.KeyName: pack.PublicOf(key)}) {
				now = remote.Desired{} // nobody's words are signed but our own
			}
			config, err := next(now)
			if err != nil {
				return err
			}
			d := remote.Desired{Revision: cmp.Or(c.Revision, newest+1), Config: config, DeadlineS: int(c.Deadline.Seconds()), Previous: now.Config}
			if key != nil {
				if err := c.sign(&d, agent, key, signed, now.Revision, newest); err != nil {
					return err
				}
			}
			text, err := json.Marshal(d)
			if err != nil {
				return err
			}
			if err := f.publish(ctx, agent, "config/desired", true, text); err != nil || !f.online(agent) {
				return err
			}
			return f.settled(ctx, agent, d.Revision, c.Deadline+time.Minute)
		})
	})
}

// sign gives a document the next revision that the key has not signed, notes it,
// and signs.
func (c changeFlags) sign(d *remote.Desired, agent string, key ed25519.PrivateKey, r *record, last, claimed int64) (err error) {
	if d.Revision, err = r.next(agent, last, claimed, c.Revision); err != nil {
		return err
	}
	if err := r.note(agent, d.Revision); err != nil {
		return err
	}
	return d.Sign(root+agent+"/", c.KeyName, key)
}

// desiredOf is an agent's current desired document, and the newest revision that any
// document at the broker mentions.
func (f *fleet) desiredOf(agent string) (d remote.Desired, newest int64) {
	// What is no document of ours counts as none; the agent has said so already.
	if strict.Decode(f.payload(agent, "config/desired"), remote.MaxDesired, &d) != nil {
		d = remote.Desired{}
	}
	r := f.configReport(agent)
	return d, newestOf(r.RunningRevision, d.Revision, r.Revision)
}

// newestOf is the newest revision that an agent could accept after the one that it
// reports as running.
func newestOf(running int64, others ...int64) int64 {
	newest := commit.Base(running)
	for _, one := range others {
		if commit.CheckRevision(one, running) == nil {
			newest = max(newest, one)
		}
	}
	return newest
}

// mostReport bounds a report, in bytes.
const mostReport = 64 << 10

func (f *fleet) configReport(agent string) (r remote.Report) {
	if strict.DecodeKnown(f.payload(agent, "config/reported"), mostReport, &r) != nil {
		return remote.Report{}
	}
	return r
}

// settled waits until an agent has applied a revision; anything else that it
// settles on is an error.
func (f *fleet) settled(ctx context.Context, agent string, revision int64, most time.Duration) error {
	for end := time.Now().Add(most); ; {
		r := f.configReport(agent)
		if r.Revision == revision {
			switch r.Status {
			case "applied":
				return nil
			case "rejected", "rolled_back":
				return fmt.Errorf("%s: %s", r.Status, faults(r.Errors))
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("said nothing of revision %d for %s; it is still wanted", revision, most)
		}
		if err := f.pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func faults(list []remote.Fault) string {
	list = commit.Bounded(list)
	words := make([]string, len(list))
	for i, e := range list {
		words[i] = strings.TrimPrefix(e.Key+": "+e.Message, ": ")
	}
	// The text comes from a broker and goes to a terminal.
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.Join(words, "; "))
}

type configDiff struct {
	brokerFlags
	Agents string `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
	Patch  string `arg:"" type:"existingfile" help:"File with the JSON merge patch."`
}

// Run prints a line for each setting that differs.
func (c configDiff) Run(o outside) error {
	patch, err := readPatch(c.Patch)
	if err != nil {
		return err
	}
	return c.with(o.ctx, func(f *fleet) error {
		agents, err := f.choose(c.Agents)
		if err != nil {
			return err
		}
		for _, agent := range agents {
			now, _ := f.desiredOf(agent)
			for _, line := range diff(now.Config, patch) {
				say(o.out, "%s  %s", agent, line)
			}
		}
		return nil
	})
}

// diff lists the settings in which two patches differ.
func diff(before, after json.RawMessage) (lines []string) {
	a, b := flat(before), flat(after)
	for key, was := range a {
		if b[key] != was {
			lines = append(lines, fmt.Sprintf("%s: %s → %s", key, was, orElse(b[key])))
		}
	}
	for key, is := range b {
		if _, known := a[key]; !known {
			lines = append(lines, fmt.Sprintf("%s: %s → %s", key, orElse(""), is))
		}
	}
	slices.Sort(lines)
	return lines
}

func orElse(text string) string {
	if text == "" {
		return "(the box's own)"
	}
	return text
}

// flat is a document as dotted keys and their values in JSON.
func flat(document json.RawMessage) map[string]string {
	out := map[string]string{}
	var value any
	if json.Unmarshal(document, &value) == nil { // nothing, or no JSON, has no settings
		flatten("", value, out)
	}
	return out
}

func flatten(key string, value any, into map[string]string) {
	object, ok := value.(map[string]any)
	if !ok {
		text, err := json.Marshal(value)
		if err != nil {
			text = []byte("?") // it came from JSON: this cannot be
		}
		into[key] = string(text)
		return
	}
	for name, one := range object {
		flatten(strings.TrimPrefix(key+"."+name, "."), one, into)
	}
}

package fleet

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

	"meltwatch/agent/message"
	"meltwatch/agent/remote/commit"
	"meltwatch/agent/remote/modelpackage"
	"meltwatch/config/strict"
)

// PrintConfig prints the desired configuration of each agent and its report as JSON.
func (f Fleet) PrintConfig(ctx context.Context, agents string) error {
	return f.with(ctx, func(c *connection) error {
		chosen, err := c.choose(agents)
		if err != nil {
			return err
		}
		lines := json.NewEncoder(f.Out)
		lines.SetIndent("", "  ")
		for _, agent := range chosen {
			one := map[string]any{
				"agent": agent, "desired": raw(c.payload(agent, message.TopicConfigDesired)), "reported": raw(c.payload(agent, message.TopicConfigReported)),
			}
			if !c.heard(agent, message.TopicConfigDesired) {
				one["note"] = noDocument
			}
			err = errors.Join(err, lines.Encode(one))
		}
		return err
	})
}

// noDocument says that no document has arrived.
const noDocument = "no retained message was found on " + message.TopicConfigDesired + ": " + noneFound

// raw returns valid JSON unchanged, other payloads as text, and nil for an empty one.
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

// Signer says with which key documents are signed.
type Signer struct {
	KeyFile string // private key; empty for unsigned documents
	KeyName string // name under which the boxes know the key
	Record  string // file of the revisions that the key has signed; KEY.revisions when empty
}

// record opens the key's record of signed revisions; nil without a key.
func (s Signer) record() (*record, error) {
	if s.KeyFile == "" {
		return nil, nil
	}
	return openRecord(cmp.Or(s.Record, s.KeyFile+".revisions"))
}

func (s Signer) read() (ed25519.PrivateKey, error) {
	if s.KeyFile == "" {
		return nil, nil
	}
	if s.KeyName == "" {
		return nil, errors.New("--key-name is missing: the boxes know the key by its name in trust.config_keys")
	}
	return modelpackage.ReadKey(s.KeyFile)
}

// Change says how new configuration documents are made and reach the agents.
type Change struct {
	Stages
	Signer
	Deadline time.Duration // how long changed parts have to show that they work
	Revision int64         // of the document; 0 for the one after the last
	// restores is true if the new patch comes from the document in force.
	restores bool
}

// The remedies for a document in force that this user cannot see.
const (
	giveRevision = "or give --revision: 1 if the document is missing, else more than the last revision"
	givePatch    = "or give the patch with config set and --revision"
)

// inForce is an error unless the documents in force of the agents to be changed are known.
func (how Change) inForce(ctx context.Context, c *connection, agents string) error {
	topics := []string{message.TopicConfigDesired, message.TopicConfigReported}
	if err := c.readable(topics...); err != nil {
		return err
	}
	switch {
	case how.restores:
		return how.known(ctx, c, agents, givePatch, topics...)
	case how.Revision == 0:
		return how.known(ctx, c, agents, giveRevision, topics...)
	default: // the person knows
		return nil
	}
}

// SetConfig publishes a JSON merge patch as the agents' desired configuration, stage by
// stage.
func (f Fleet) SetConfig(ctx context.Context, agents string, patch json.RawMessage, how Change) error {
	return f.change(ctx, agents, how, func(message.ConfigDesired) (json.RawMessage, error) { return patch, nil })
}

// ReadPatch reads a file with a JSON merge patch.
func ReadPatch(path string) (json.RawMessage, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	if err := strict.Decode(text, message.MaxConfigDesired, &object); err != nil {
		return nil, fmt.Errorf("%s: invalid JSON object: %w", path, err)
	}
	return json.Marshal(object)
}

// RollBackConfig publishes the patch before the last one again, or an empty patch if
// there was none.
func (f Fleet) RollBackConfig(ctx context.Context, agents string, how Change) error {
	how.restores = true
	return f.change(ctx, agents, how, func(now message.ConfigDesired) (json.RawMessage, error) {
		switch {
		case how.KeyFile != "" && len(now.Config) == 0:
			return nil, errors.New("the document at the broker is not signed by this key, so its patch cannot be trusted: give the patch with config set")
		case len(now.Previous) == 0:
			return json.RawMessage("{}"), nil
		}
		return now.Previous, nil
	})
}

// change publishes a new revision for each agent and waits until the agent applies it.
func (f Fleet) change(ctx context.Context, agents string, how Change, next func(now message.ConfigDesired) (json.RawMessage, error)) error {
	key, err := how.read()
	if err != nil {
		return err
	}
	signed, err := how.record()
	if err != nil {
		return err
	}
	if how.Revision < 0 || how.Revision > commit.MostRevision {
		return fmt.Errorf("--revision %d is out of bounds: want 1 to %d", how.Revision, int64(commit.MostRevision))
	}
	return f.with(ctx, func(c *connection) error {
		if err := how.inForce(ctx, c, agents); err != nil {
			return err
		}
		return how.roll(ctx, f.Out, c, agents, func(ctx context.Context, agent string) error {
			now, newest := c.desiredOf(agent)
			if key != nil && !now.Signed(rootOf(agent), map[string]string{how.KeyName: modelpackage.PublicOf(key)}) {
				now = message.ConfigDesired{} // never sign what another key or no key has signed
			}
			config, err := next(now)
			if err != nil {
				return err
			}
			d := message.ConfigDesired{Revision: cmp.Or(how.Revision, newest+1), Config: config, DeadlineS: int(how.Deadline.Seconds()), Previous: now.Config}
			if key != nil {
				if err := how.sign(&d, agent, key, signed, now.Revision, newest); err != nil {
					return err
				}
			}
			text, err := json.Marshal(d)
			if err != nil {
				return err
			}
			if err := c.place(ctx, agent, message.TopicConfigDesired, text); err != nil || !c.online(agent) {
				return err
			}
			return c.waitApplied(ctx, agent, d.Revision, how.Deadline+time.Minute)
		})
	}, message.TopicConfigReported)
}

// sign gives the document the next revision that the key has not signed, records that
// revision, and signs.
func (how Change) sign(d *message.ConfigDesired, agent string, key ed25519.PrivateKey, r *record, last, claimed int64) (err error) {
	if d.Revision, err = r.next(agent, last, claimed, how.Revision); err != nil {
		return err
	}
	if err := r.note(agent, d.Revision); err != nil {
		return err
	}
	return d.Sign(rootOf(agent), how.KeyName, key)
}

// desiredOf returns an agent's desired document and the newest revision in any document
// at the broker.
func (c *connection) desiredOf(agent string) (d message.ConfigDesired, newest int64) {
	// An invalid document counts as none; the agent has reported it already.
	if strict.Decode(c.payload(agent, message.TopicConfigDesired), message.MaxConfigDesired, &d) != nil {
		d = message.ConfigDesired{}
	}
	r := c.configReport(agent)
	return d, newestOf(r.RunningRevision, d.Revision, r.Revision)
}

// newestOf returns the newest revision that an agent could accept after the running
// one.
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

func (c *connection) configReport(agent string) (r message.ConfigReport) {
	if strict.DecodeKnown(c.payload(agent, message.TopicConfigReported), mostReport, &r) != nil {
		return message.ConfigReport{}
	}
	return r
}

// waitApplied waits until an agent has applied a revision. A rejection, a roll-back and
// silence are errors.
func (c *connection) waitApplied(ctx context.Context, agent string, revision int64, most time.Duration) error {
	for end := time.Now().Add(most); ; {
		r := c.configReport(agent)
		if r.Revision == revision {
			switch r.Status {
			case message.Applied:
				return nil
			case message.Rejected, message.RolledBack:
				return fmt.Errorf("%s: %s", r.Status, faults(r.Errors))
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("no report of revision %d within %s; the document stays at the broker", revision, most)
		}
		if err := c.pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func faults(list []message.Fault) string {
	list = message.Bounded(list)
	words := make([]string, len(list))
	for i, e := range list {
		words[i] = strings.TrimPrefix(e.Key+": "+e.Message, ": ")
	}
	return printableLine(strings.Join(words, "; "))
}

// DiffConfig prints a line for each setting in which a patch differs from the desired
// configuration.
func (f Fleet) DiffConfig(ctx context.Context, agents string, patch json.RawMessage) error {
	return f.with(ctx, func(c *connection) error {
		chosen, err := c.choose(agents)
		if err != nil {
			return err
		}
		for _, agent := range chosen {
			if !c.heard(agent, message.TopicConfigDesired) {
				printLine(f.Out, "%s  %s", agent, noDocument)
			}
			now, _ := c.desiredOf(agent)
			for _, line := range diff(now.Config, patch) {
				printLine(f.Out, "%s  %s", agent, line)
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

// flat returns a document's settings as dotted keys and values in JSON.
func flat(document json.RawMessage) map[string]string {
	out := map[string]string{}
	var value any
	if json.Unmarshal(document, &value) == nil { // an empty or invalid document has no settings
		flatten("", value, out)
	}
	return out
}

func flatten(key string, value any, into map[string]string) {
	object, ok := value.(map[string]any)
	if !ok {
		text, err := json.Marshal(value)
		if err != nil {
			text = []byte("?") // unreachable: the value was decoded from JSON
		}
		into[key] = string(text)
		return
	}
	for name, one := range object {
		flatten(strings.TrimPrefix(key+"."+name, "."), one, into)
	}
}

package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/modelpackage"
	"meltwatch/config/strict"
)

// RollOut says which model package reaches the agents and how.
type RollOut struct {
	Stages
	Package string // file; its signature lies beside it as PACKAGE.sig
	URL     string // where the agents find the package; by chunks through the broker when empty
	Shadow  time.Duration
	Observe time.Duration // how long it may still be sent back after the switch

	Revision     int64   // of the document; 0 for the one after the last
	MinAgreement float64 // least share of the shadow's seconds in which both models agree
}

// PushModel rolls a signed package out, stage by stage.
func (f Fleet) PushModel(ctx context.Context, agents string, r RollOut) error {
	signed, err := modelpackage.ReadSigned(r.Package + ".sig")
	if err != nil {
		return err
	}
	sha, size, err := modelpackage.Sum(r.Package)
	if err != nil {
		return err
	}
	if sha != signed.SHA256 || size != signed.Size {
		return fmt.Errorf("%s.sig signs another package: sign this one with meltwatch model sign", r.Package)
	}
	return f.with(ctx, func(c *connection) error {
		topics := []string{message.TopicModelDesired, message.TopicModelReported}
		if err := c.readable(topics...); err != nil {
			return err
		}
		if r.Revision == 0 {
			if err := r.known(ctx, c, agents, giveRevision, topics...); err != nil {
				return err
			}
		}
		return r.roll(ctx, f.Out, c, agents, func(ctx context.Context, agent string) error {
			d := message.ModelDesired{
				Revision: cmp.Or(r.Revision, c.newestModel(agent)+1), SignedPackage: signed, URL: r.URL,
				ShadowS: int(r.Shadow.Seconds()), WatchS: int(r.Observe.Seconds()), MinAgreement: r.MinAgreement,
			}
			text, err := json.Marshal(d)
			if err != nil {
				return err
			}
			if err := c.place(ctx, agent, message.TopicModelDesired, text); err != nil || !c.online(agent) {
				return err
			}
			return r.serve(ctx, c, agent, d)
		})
	}, message.TopicModelReported)
}

// ResetModel returns the agents to the models of their own boxes.
func (f Fleet) ResetModel(ctx context.Context, agents string, stages Stages) error {
	return f.with(ctx, func(c *connection) error {
		return stages.roll(ctx, f.Out, c, agents, func(ctx context.Context, agent string) error {
			return c.place(ctx, agent, message.TopicModelDesired, nil)
		})
	})
}

// newestModel returns the newest revision in any document at the broker. The revision
// of a model document is not signed; only the package is.
func (c *connection) newestModel(agent string) int64 {
	var d message.ModelDesired
	if strict.Decode(c.payload(agent, message.TopicModelDesired), message.MaxModelDesired, &d) != nil {
		d = message.ModelDesired{} // an invalid document counts as none
	}
	r := c.modelReport(agent)
	return newestOf(r.RunningRevision, d.Revision, r.Revision)
}

func (c *connection) modelReport(agent string) (r message.ModelReport) {
	if strict.DecodeKnown(c.payload(agent, message.TopicModelReported), mostReport, &r) != nil {
		return message.ModelReport{}
	}
	return r
}

// resend is how long an agent may ask for the same chunk before it is sent again.
const resend = 5 * time.Second

// serve sends the chunks that an agent asks for and waits until the package's model is
// live. A rejection, a roll-back and silence are errors.
func (r RollOut) serve(ctx context.Context, c *connection, agent string, d message.ModelDesired) error {
	file, err := os.Open(r.Package)
	if err != nil {
		return err
	}
	defer file.Close()
	sender := chunks{broker: c, file: file, agent: agent, signed: d.SignedPackage}
	quiet := time.Now() // when the last new report arrived
	patience := r.Shadow + r.Observe + 2*time.Minute
	for last := (message.ModelReport{}); ; {
		report := c.modelReport(agent)
		if !report.Time.Equal(last.Time) {
			quiet, last = time.Now(), report
		}
		if report.Revision == d.Revision {
			switch report.Status {
			case message.Live:
				return nil
			case message.Rejected, message.RolledBack:
				return fmt.Errorf("%s: %s", report.Status, faults(report.Errors))
			case message.Receiving:
				if err := sender.send(ctx, report); err != nil {
					return err
				}
			}
		}
		if time.Since(quiet) > patience {
			return fmt.Errorf("no new report for %s; the document stays at the broker", patience)
		}
		if err := c.pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// chunks sends a package's chunks to one agent.
type chunks struct {
	broker *connection
	file   *os.File
	agent  string
	signed message.SignedPackage

	sent int64     // first chunk that was not sent yet
	want int64     // chunk that the agent asks for
	at   time.Time // since when
}

// send sends the chunks from the wanted one on, up to the agreed number ahead.
func (c *chunks) send(ctx context.Context, r message.ModelReport) error {
	if r.Next != c.want {
		c.want, c.at = r.Next, time.Now()
	} else if time.Since(c.at) > resend {
		c.sent, c.at = r.Next, time.Now()
	}
	for n := max(c.sent, r.Next); n < min(r.Next+modelpackage.Ahead, r.Chunks); n++ {
		data := make([]byte, min(modelpackage.ChunkSize, c.signed.Size-n*modelpackage.ChunkSize))
		if _, err := c.file.ReadAt(data, n*modelpackage.ChunkSize); err != nil {
			return fmt.Errorf("read package: %w", err)
		}
		payload, err := modelpackage.Chunk(c.signed.SHA256, data)
		if err != nil {
			return err
		}
		if err := c.broker.publish(ctx, c.agent, strings.TrimSuffix(message.TopicModelChunk, "+")+strconv.FormatInt(n, 10), false, payload); err != nil {
			return err
		}
		c.sent = n + 1
	}
	return nil
}

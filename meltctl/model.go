package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"meltwatch/agent/remote/pack"
	"meltwatch/agent/remote/rollout"
	"meltwatch/config/strict"
)

type modelCommand struct {
	Push  modelPush  `cmd:"" help:"Roll a signed package out."`
	Reset modelReset `cmd:"" help:"Have the agents go back to the models of their own boxes."`
}

type modelPush struct {
	brokerFlags
	stageFlags
	Agents       string        `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
	Package      string        `arg:"" type:"existingfile" help:"Package; its signature lies beside it as PACKAGE.sig."`
	URL          string        `help:"Where the agents find the package, https://… or file:///…; by chunks through the broker otherwise."`
	Shadow       time.Duration `default:"2m" help:"How long it shadows the live model."`
	Observe      time.Duration `default:"1m" help:"How long it may still be sent back after the switch."`
	Revision     int64         `help:"Revision of the document; by default the one after the last that the broker reports."`
	MinAgreement float64       `help:"Least share of the shadow's seconds in which both models agree."`
}

// Run rolls the package out stage by stage.
func (c modelPush) Run(o outside) error {
	signed, err := pack.ReadSigned(c.Package + ".sig")
	if err != nil {
		return err
	}
	sha, size, err := pack.Sum(c.Package)
	if err != nil {
		return err
	}
	if sha != signed.SHA256 || size != signed.Size {
		return fmt.Errorf("%s.sig is for another package: sign this one with meltwatch model sign", c.Package)
	}
	return c.with(o.ctx, func(f *fleet) error {
		return c.roll(o.ctx, o.out, f, c.Agents, func(ctx context.Context, agent string) error {
			d := rollout.Desired{
				Revision: cmp.Or(c.Revision, f.newestModel(agent)+1), Signed: signed, URL: c.URL,
				ShadowS: int(c.Shadow.Seconds()), WatchS: int(c.Observe.Seconds()), MinAgreement: c.MinAgreement,
			}
			text, err := json.Marshal(d)
			if err != nil {
				return err
			}
			if err := f.publish(ctx, agent, "model/desired", true, text); err != nil || !f.online(agent) {
				return err
			}
			return c.serve(ctx, f, agent, d)
		})
	})
}

// newestModel is the newest revision that any document at the broker mentions. A
// model document's revision is not signed; only the package is.
func (f *fleet) newestModel(agent string) int64 {
	var d rollout.Desired
	if strict.Decode(f.payload(agent, "model/desired"), rollout.MaxDesired, &d) != nil {
		d = rollout.Desired{} // what is no document of ours counts as none
	}
	r := f.modelReport(agent)
	return newestOf(r.RunningRevision, d.Revision, r.Revision)
}

func (f *fleet) modelReport(agent string) (r rollout.Report) {
	if strict.DecodeKnown(f.payload(agent, "model/reported"), mostReport, &r) != nil {
		return rollout.Report{}
	}
	return r
}

// resend is how long the same chunk may be wanted before it is sent again.
const resend = 5 * time.Second

// serve sends the chunks that an agent asks for and waits until the package
// decides; anything else that the agent settles on is an error.
func (c modelPush) serve(ctx context.Context, f *fleet, agent string, d rollout.Desired) error {
	file, err := os.Open(c.Package)
	if err != nil {
		return err
	}
	defer file.Close()
	sender := chunks{fleet: f, file: file, agent: agent, signed: d.Signed}
	quiet := time.Now() // since when the agent has said nothing new
	patience := c.Shadow + c.Observe + 2*time.Minute
	for last := (rollout.Report{}); ; {
		r := f.modelReport(agent)
		if !r.Time.Equal(last.Time) {
			quiet, last = time.Now(), r
		}
		if r.Revision == d.Revision {
			switch r.Status {
			case "live":
				return nil
			case "rejected", "rolled_back":
				return fmt.Errorf("%s: %s", r.Status, faults(r.Errors))
			case "receiving":
				if err := sender.send(ctx, r); err != nil {
					return err
				}
			}
		}
		if time.Since(quiet) > patience {
			return fmt.Errorf("said nothing for %s; the package is still wanted", patience)
		}
		if err := f.pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// chunks sends a package's chunks to one agent.
type chunks struct {
	fleet  *fleet
	file   *os.File
	agent  string
	signed pack.Signed

	sent int64 // the first chunk that was not sent yet
	want int64
	at   time.Time
}

// send sends what lies ahead of the chunk that is wanted next.
func (c *chunks) send(ctx context.Context, r rollout.Report) error {
	if r.Next != c.want {
		c.want, c.at = r.Next, time.Now()
	} else if time.Since(c.at) > resend {
		c.sent, c.at = r.Next, time.Now()
	}
	for n := max(c.sent, r.Next); n < min(r.Next+pack.Ahead, r.Chunks); n++ {
		data := make([]byte, min(pack.ChunkSize, c.signed.Size-n*pack.ChunkSize))
		if _, err := c.file.ReadAt(data, n*pack.ChunkSize); err != nil {
			return fmt.Errorf("read package: %w", err)
		}
		payload, err := pack.Chunk(c.signed.SHA256, data)
		if err != nil {
			return err
		}
		if err := c.fleet.publish(ctx, c.agent, fmt.Sprintf("model/chunk/%d", n), false, payload); err != nil {
			return err
		}
		c.sent = n + 1
	}
	return nil
}

type modelReset struct {
	brokerFlags
	stageFlags
	Agents string `arg:"" help:"Agents: all, plant-1/f07, or a pattern such as plant-1/*."`
}

// Run clears what is wanted.
func (c modelReset) Run(o outside) error {
	return c.with(o.ctx, func(f *fleet) error {
		return c.roll(o.ctx, o.out, f, c.Agents, func(ctx context.Context, agent string) error {
			return f.publish(ctx, agent, "model/desired", true, nil)
		})
	})
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"meltwatch/agent/outbox"
	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/durable"
)

// outboxCommand reads the outbox on disk and changes nothing. The agent may be running.
type outboxCommand struct {
	Stat   outboxStat   `cmd:"" help:"Print a summary of each class."`
	Dump   outboxDump   `cmd:"" help:"Print every record, one JSON object a line."`
	Verify outboxVerify `cmd:"" help:"Read everything; fail if a record is damaged."`
}

// outboxFlags select an outbox.
type outboxFlags struct {
	configFlag
	Folder string `placeholder:"DIR" help:"Folder of the outbox, instead of the configured one."`
}

func (f outboxFlags) disk() (durable.Folder, error) {
	if f.Folder != "" {
		return durable.Folder(f.Folder), nil
	}
	c, err := config.ReadTolerated(f.Config)
	if err != nil {
		return "", err
	}
	return durable.Folder(settings.OutboxFolder(c)), nil
}

func (f outboxFlags) walk(each func(outbox.Stored) error) ([]outbox.Summary, error) {
	disk, err := f.disk()
	if err != nil {
		return nil, err
	}
	return outbox.Walk(disk, each)
}

type outboxStat struct {
	outboxFlags
	JSON bool `name:"json" help:"Print one JSON object a line: class, waiting, records, missing, segments, bytes, oldest, newest."`
}

// Run prints a line for each class.
func (c outboxStat) Run(o outside) error {
	summaries, err := c.walk(func(outbox.Stored) error { return nil })
	if c.JSON {
		return errors.Join(err, encodeSummaries(o.out, summaries))
	}
	return errors.Join(err, printSummaries(o.out, summaries))
}

// encodeSummaries prints a JSON object for each class.
func encodeSummaries(out io.Writer, summaries []outbox.Summary) error {
	lines := json.NewEncoder(out)
	for _, s := range summaries {
		line := struct {
			Class    string    `json:"class"`
			Waiting  uint64    `json:"waiting"`
			Records  uint64    `json:"records"`
			Missing  uint64    `json:"missing"`
			Segments int       `json:"segments"`
			Bytes    int64     `json:"bytes"`
			Oldest   time.Time `json:"oldest,omitzero"`
			Newest   time.Time `json:"newest,omitzero"`
		}{s.Class, s.Waiting, s.Records, s.Missing, s.Segments, s.Bytes, s.Oldest.UTC(), s.Newest.UTC()}
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

func printSummaries(out io.Writer, summaries []outbox.Summary) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, err := fmt.Fprintln(table, "class\twaiting\trecords\tmissing\tsegments\tbytes\toldest\tnewest")
	for _, s := range summaries {
		_, lineErr := fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n",
			s.Class, s.Waiting, s.Records, s.Missing, s.Segments, s.Bytes, instant(s.Oldest), instant(s.Newest))
		err = errors.Join(err, lineErr)
	}
	return errors.Join(err, table.Flush())
}

func instant(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

type outboxDump struct {
	outboxFlags
	Class string `enum:",event,state,current" default:"" help:"Print only this class: event, state or current."`
	All   bool   `help:"Print acknowledged records too, as long as their segment exists."`
}

// Run prints the records.
func (c outboxDump) Run(o outside) error {
	lines := json.NewEncoder(o.out)
	_, err := c.walk(func(s outbox.Stored) error {
		if c.Class != "" && s.Class != c.Class || !s.Waiting && !c.All {
			return nil
		}
		return lines.Encode(dumped{s.Class, s.Number, s.Waiting, payload(s.Payload)})
	})
	return err
}

type dumped struct {
	Class   string `json:"class"`
	Number  uint64 `json:"number"`
	Waiting bool   `json:"waiting"`
	Payload any    `json:"payload"`
}

// payload returns valid JSON as JSON, and anything else as base64.
func payload(b []byte) any {
	if json.Valid(b) {
		return json.RawMessage(b)
	}
	return b
}

type outboxVerify struct{ outboxFlags }

// Run prints a line for each class, and fails if a record is missing.
func (c outboxVerify) Run(o outside) error {
	summaries, err := c.walk(func(outbox.Stored) error { return nil })
	err = errors.Join(err, printSummaries(o.out, summaries))
	for _, s := range summaries {
		if s.Missing > 0 {
			err = errors.Join(err, fmt.Errorf("outbox class %s: %d records are damaged and lost; the agent skips them and keeps their segment as *.damaged", s.Class, s.Missing))
		}
	}
	return err
}

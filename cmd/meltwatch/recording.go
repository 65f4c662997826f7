package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"meltwatch/agent"
	"meltwatch/agent/recorder"
	"meltwatch/agent/replay"
	"meltwatch/agent/settings"
	"meltwatch/agent/web"
	"meltwatch/config"
	"meltwatch/durable"
)

// recordingFlags select a part of a recording.
type recordingFlags struct {
	configFlag
	Folder string `placeholder:"DIR" help:"Folder of the recording, instead of the configured one."`
	From   string `placeholder:"TIME" help:"First instant, such as 2026-11-28T13:40:00Z or 2026-11-28T21:40:00+08:00; the recording's first by default."`
	To     string `placeholder:"TIME" help:"Last instant; the recording's last by default."`
}

// open returns the recording, and the part of it that is selected.
func (f recordingFlags) open(folder string) (l *recorder.Library, from, to time.Time, err error) {
	l = recorder.OpenLibrary(folder)
	segments, err := l.Segments()
	if err != nil {
		return nil, from, to, err
	}
	if len(segments) == 0 {
		return nil, from, to, fmt.Errorf("%s holds no recording: set recorder.enabled, or name a folder with --folder", folder)
	}
	from, to = segments[0].From, segments[len(segments)-1].To.Add(time.Second)
	for _, one := range []struct {
		flag, text string
		into       *time.Time
	}{{"--from", f.From, &from}, {"--to", f.To, &to}} {
		if one.text == "" {
			continue
		}
		if *one.into, err = time.Parse(time.RFC3339, one.text); err != nil {
			return nil, from, to, fmt.Errorf("%s: %q is not an instant: give it as 2026-11-28T13:40:00Z", one.flag, one.text)
		}
	}
	if !from.Before(to) {
		return nil, from, to, errors.New("--to: nothing lies between --from and --to")
	}
	return l, from, to, nil
}

func (f recordingFlags) folder(c config.Config) string {
	if f.Folder != "" {
		return f.Folder
	}
	return settings.RecordingsFolder(c)
}

type recordCommand struct {
	configFlag
	Out string        `required:"" placeholder:"DIR" help:"Folder to record into."`
	For time.Duration `placeholder:"DURATION" help:"How long; until interrupted by default."`
}

// Help is the second part of the command's help.
func (recordCommand) Help() string {
	return `Nothing is published, and the bounds of the section recorder hold.

Examples:
  meltwatch record -c furnace.yaml --out melt-17 --for 3h`
}

// Run records until the time is over or ctx ends.
func (c recordCommand) Run(ctx context.Context, o outside) error {
	s, err := config.ReadTolerated(c.Config)
	if err != nil {
		return err
	}
	s.Recorder.Enabled, s.Paths.Recordings, s.Outbox.Enabled, s.Web.Listen, s.Metrics.Listen = true, c.Out, false, "", ""
	env, err := newEnv(o.errOut, s.Log, logFlags{})
	if err != nil {
		return err
	}
	a, err := agent.NewFixed(s, env)
	if err != nil {
		return err
	}
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.For)
		defer cancel()
	}
	return a.Record(ctx)
}

type replayCommand struct {
	recordingFlags
	Model string `placeholder:"DIR" type:"existingdir" help:"Model folder, instead of the configured one."`
	JSON  bool   `name:"json" help:"Print each second as one JSON object a line."`
}

// Help is the second part of the command's help.
func (replayCommand) Help() string {
	return `The recording runs through the decision that runs live, faster than it was. The summary says in how many seconds the
state is the recorded one; the first 210 s after a pause are not compared, because the window fills.

Examples:
  meltwatch replay -c furnace.yaml
  meltwatch replay -c furnace.yaml --model models/own --from 2026-11-28T13:40:00Z --json`
}

// replayed is a line of --json.
type replayed struct {
	Time      time.Time `json:"time"`
	Recorded  string    `json:"recorded"`
	State     string    `json:"state"`
	PRecorded float64   `json:"p_recorded"`
	P         float64   `json:"p"`
	PMean     float64   `json:"p_mean"`
	Compared  bool      `json:"compared"`
}

// Run decides the recording again, and prints a summary or each second.
func (c replayCommand) Run(ctx context.Context, o outside) error {
	s, err := config.ReadTolerated(c.Config)
	if err != nil {
		return err
	}
	if c.Model != "" {
		s.Model.Path = c.Model
	}
	s.Log.Level = "error"
	env, err := newEnv(o.errOut, s.Log, logFlags{})
	if err != nil {
		return err
	}
	l, from, to, err := c.open(c.folder(s))
	if err != nil {
		return err
	}
	labels, err := recorder.OpenLabels(durable.Folder(c.folder(s))).All()
	if err != nil {
		return err
	}
	out, before := json.NewEncoder(o.out), ""
	judged := judgement{labels: labels}
	var printing error
	result, err := agent.Replay(ctx, s, env, l, from, to, func(second replay.Second) {
		state := string(second.Again.Status.State)
		judged.add(second)
		switch {
		case c.JSON:
			printing = errors.Join(printing, out.Encode(replayed{
				second.Recorded.Time, second.Recorded.State.State, state,
				second.Recorded.PAbnormal, second.Again.Verdict.P, second.Again.Status.P, second.Settled,
			}))
		case state != before:
			_, err := fmt.Fprintf(o.out, "%s  %s (recorded: %s)\n", second.Recorded.Time.Format(time.RFC3339), state, second.Recorded.State.State)
			printing = errors.Join(printing, err)
			before = state
		}
	})
	if err = errors.Join(err, printing); err != nil || c.JSON {
		return err
	}
	_, err = fmt.Fprintf(o.out, "%d s decided again in %s (%.0f times as fast); the state is the recorded one in %s of %d compared seconds\n",
		result.Seconds, result.Took.Round(100*time.Millisecond), float64(result.Seconds)/result.Took.Seconds(), percent(result.Equal, result.Settled), result.Settled)
	if err == nil && judged.seconds > 0 {
		_, err = fmt.Fprintf(o.out, "labelled: then right in %s, now right in %s of %d seconds; of %d abnormal stretches %d were found then, %d now\n",
			percent(judged.then, judged.seconds), percent(judged.now, judged.seconds), judged.seconds, len(judged.foundThen), found(judged.foundThen), found(judged.foundNow))
	}
	return err
}

// judgement compares what was decided then and now with what persons say.
type judgement struct {
	labels             []recorder.Label
	seconds, then, now int
	// foundThen and foundNow are whether an abnormal stretch had a second called abnormal.
	foundThen, foundNow map[string]bool
}

func (j *judgement) add(s replay.Second) {
	if !s.Settled {
		return
	}
	at := s.Recorded.At
	for _, l := range j.labels {
		if at.Before(l.From) || !at.Before(l.To) || l.Class == recorder.ClassDoubtful || l.Class == recorder.ClassAbnormal && at.Before(l.Onset) {
			continue
		}
		abnormal := l.Class == recorder.ClassAbnormal
		then, now := s.Recorded.State.State == "abnormal", s.Again.Status.State == "abnormal"
		j.seconds++
		if then == abnormal {
			j.then++
		}
		if now == abnormal {
			j.now++
		}
		if abnormal {
			if j.foundThen == nil {
				j.foundThen, j.foundNow = map[string]bool{}, map[string]bool{}
			}
			j.foundThen[l.ID] = j.foundThen[l.ID] || then
			j.foundNow[l.ID] = j.foundNow[l.ID] || now
		}
	}
}

func found(stretches map[string]bool) (n int) {
	for _, one := range stretches {
		if one {
			n++
		}
	}
	return n
}

func percent(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	const hundred = 100
	return fmt.Sprintf("%.2f %%", hundred*float64(part)/float64(whole))
}

type exportCommand struct {
	recordingFlags
	Out    string `required:"" placeholder:"DIR" help:"Folder to write; it must not exist."`
	Normal bool   `help:"Count seconds without a label as normal. Without it they are not scored."`
}

// Help is the second part of the command's help.
func (exportCommand) Help() string {
	return `Writes layout V2 of docs/own-data.md: a batch for each stretch without a gap of 10 s, an hour long at most. Every fifth is
kept for the test. Labels come from the page.

Examples:
  meltwatch export -c furnace.yaml --out data/own
  meltwatch export -c furnace.yaml --out data/own-normal --normal --from 2026-11-20T00:00:00Z --to 2026-11-21T00:00:00Z`
}

// Run writes the data set, and prints a line a batch.
func (c exportCommand) Run(o outside) error {
	folder := c.Folder
	if folder == "" {
		s, err := config.ReadTolerated(c.Config)
		if err != nil {
			return err
		}
		folder = settings.RecordingsFolder(s)
	}
	l, from, to, err := c.open(folder)
	if err != nil {
		return err
	}
	labels, err := recorder.OpenLabels(durable.Folder(folder)).All()
	if err != nil {
		return err
	}
	done, err := recorder.Export(l, labels, from, to, c.Out, c.Normal)
	if err != nil {
		return fmt.Errorf("export to %s: %w", c.Out, err)
	}
	for _, s := range done {
		if _, err := fmt.Fprintf(o.out, "%s  %s  %d pictures, %d readings, %d labelled seconds\n", s.Name, s.To.Sub(s.From).Round(time.Second), s.Frames, s.Samples, s.Labelled); err != nil {
			return err
		}
	}
	return nil
}

type passwordCommand struct{}

// Help is the second part of the command's help.
func (passwordCommand) Help() string {
	return `Reads the password from standard input; on a terminal it asks for it. Only the hash is printed.

Examples:
  meltwatch password > /etc/meltwatch/page.hash`
}

const leastPassword = 8 // bytes

// Run prints the hash of a password.
func (passwordCommand) Run(o outside) error {
	text, err := readPassword(o.errOut)
	if err != nil {
		return err
	}
	const most = 72
	if len(text) < leastPassword || len(text) > most {
		return fmt.Errorf("the password has %d bytes: want %d to %d", len(text), leastPassword, most)
	}
	hash, err := web.Hash(text)
	if err != nil {
		return fmt.Errorf("hash of the password: %w", err)
	}
	_, err = fmt.Fprintf(o.out, "%s\n", hash)
	return err
}

func readPassword(prompt io.Writer) (string, error) {
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		if _, err := fmt.Fprint(prompt, "Password: "); err != nil {
			return "", err
		}
		text, err := term.ReadPassword(fd)
		_, newline := fmt.Fprintln(prompt)
		return string(text), errors.Join(err, newline)
	}
	line, err := bufio.NewReader(io.LimitReader(os.Stdin, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

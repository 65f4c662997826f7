package main

import (
	"errors"
	"fmt"
	"time"

	"meltwatch/agent"
	"meltwatch/agent/recorder"
	"meltwatch/agent/settings"
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

// recording is a recording with its labels, and the part of it that is selected.
type recording struct {
	folder   string
	library  *recorder.Library
	labels   []recorder.Label
	from, to time.Time
}

// openAside opens the recording for work beside a running agent: the process gets the lowest
// priority and logs errors only.
func (f recordingFlags) openAside(o outside) (r recording, c config.Config, env agent.Env, err error) {
	if err := yieldToTheWatch(); err != nil {
		return r, c, env, err
	}
	if c, err = config.ReadTolerated(f.Config); err != nil {
		return r, c, env, err
	}
	c.Log.Level = "error"
	if env, err = newEnv(o.errOut, c.Log, logFlags{}); err != nil {
		return r, c, env, err
	}
	r, err = f.open(f.folder(c))
	return r, c, env, err
}

// open opens the recording in a folder.
func (f recordingFlags) open(folder string) (recording, error) {
	r := recording{folder: folder, library: recorder.OpenLibrary(folder)}
	var err error
	if r.from, r.to, err = f.selected(r); err != nil {
		return r, err
	}
	r.labels, err = recorder.OpenLabels(durable.Folder(folder)).All()
	return r, err
}

// selected returns the part of a recording that the flags select.
func (f recordingFlags) selected(r recording) (from, to time.Time, err error) {
	segments, err := r.library.Segments()
	if err != nil {
		return from, to, err
	}
	if len(segments) == 0 {
		return from, to, fmt.Errorf("%s holds no recording: set recorder.enabled, or name a folder with --folder", r.folder)
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
			return from, to, fmt.Errorf("%s: %q is not an instant: give it as 2026-11-28T13:40:00Z", one.flag, one.text)
		}
	}
	if !from.Before(to) {
		return from, to, errors.New("--to: nothing lies between --from and --to")
	}
	return from, to, nil
}

func (f recordingFlags) folder(c config.Config) string {
	if f.Folder != "" {
		return f.Folder
	}
	return settings.RecordingsFolder(c)
}

package main

import (
	"errors"
	"fmt"
	"time"

	"meltwatch/agent/recorder"
	"meltwatch/agent/settings"
	"meltwatch/config"
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

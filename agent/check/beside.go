package check

import (
	"context"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"meltwatch/agent/beside"
	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/drivers/rtsp/probe"
	"meltwatch/inference"
)

const (
	besideMeters = 15 * time.Second // for the polls of all meters
	besideCamera = 28 * time.Second // as meltwatch probe camera
)

// Beside probes the meters, then the camera, of a configuration that an agent is watching,
// and hands each part to done. It has one further connection to a device at a time. If that is
// refused, closed or without an answer, it opens one more at most, because some devices close
// the connection of the watch for it. Serial lines, which have one master, are left alone.
func Beside(ctx context.Context, c config.Config, done func(beside.Part) error) error {
	for _, probed := range []func(context.Context, config.Config) beside.Part{metersBeside, cameraBeside} {
		part := probed(ctx, c)
		if err := ctx.Err(); err != nil {
			return err // what was found is the end's, not the device's
		}
		if err := done(part); err != nil {
			return err
		}
	}
	return nil
}

func metersBeside(ctx context.Context, c config.Config) beside.Part {
	part := beside.Part{Name: beside.Meters}
	polled := maps.Clone(c.Meters)
	for _, name := range slices.Sorted(maps.Keys(c.Meters)) {
		if strings.HasPrefix(c.Meters[name].URL, "rtu") { // rtu: and rtuovertcp:
			delete(polled, name)
			part.Findings = append(part.Findings, beside.Finding{Status: beside.Skip, Key: "meters." + name,
				Detail: "not probed: a serial line has one master, which is the watch; for a probe stop the agent and run meltwatch check --only meters"})
		}
	}
	name, _ := config.CurrentMeter(polled)
	if name == "" {
		return part
	}
	k := newChecker(Options{Timeout: besideMeters})
	k.config = c
	k.config.Meters = polled
	ctx, cancel := context.WithTimeout(ctx, besideMeters)
	defer cancel()
	a, err := k.readMeters(ctx, true)
	if part.Answered = a.answered; a.verdict != "" {
		s := a.sample
		whole := func(amps float64) float64 { return math.Round(amps*1000)/1000 + 0 } // to mA, and never -0
		part.Readings = &beside.Readings{Meter: name, CurrentA: whole(s.Current[0]), CurrentB: whole(s.Current[1]), CurrentC: whole(s.Current[2]),
			SetPoint: s.SetPoint, Verdict: a.verdict}
	}
	part.Findings = append(part.Findings, findings(from(a.detail, err), besideMeters)...)
	if a.verdict == beside.Doubtful || a.verdict == beside.Off {
		part.Findings[len(part.Findings)-1].Status = beside.Warn
	}
	return part
}

// findings completes the lines of a check as for its output.
func findings(o outcome, most time.Duration) (all []beside.Finding) {
	for _, l := range o.lines {
		entry{name: beside.Meters, key: beside.Meters}.complete(&l, most)
		f := beside.Finding{Status: string(l.Status), Detail: strings.ReplaceAll(l.Detail, "\n", "; ")}
		if l.Status == Fail {
			f.Key = l.Key
		}
		all = append(all, f)
	}
	return all
}

func cameraBeside(ctx context.Context, c config.Config) beside.Part {
	part := beside.Part{Name: beside.Camera}
	add := func(status, key, detail string) {
		part.Findings = append(part.Findings, beside.Finding{Status: status, Key: key, Detail: detail})
	}
	fail := func(err error) beside.Part {
		l := failed(err)
		add(beside.Fail, l.Key, l.Detail)
		return part
	}
	if !c.Camera.Enabled {
		add(beside.Skip, "camera.enabled", "not probed: it is false")
		return part
	}
	programs, err := settings.Programs(c.Paths.Programs)
	if err != nil {
		return fail(err)
	}
	// The picture's size in the model does not matter here.
	camera, err := settings.Camera(c, inference.VideoSpec{Width: 64, Height: 64, Resize: "area"})
	if err != nil {
		return fail(err)
	}
	result, err := probe.Run(ctx, probe.Options{
		Settings: camera, PasswordFile: c.Camera.PasswordFile, CAFile: c.Camera.CAFile,
		Program: filepath.Join(programs, cameraProgram), Within: besideCamera,
	})
	if err != nil {
		return fail(err)
	}
	part.Answered = result.Video.Packets > 0 || result.Login.Refused
	part.Stream = &beside.Stream{Video: result.Video, Picture: result.Picture, YAML: result.YAML}
	if result.Usable() {
		add(beside.OK, "", result.URL+": the agent can use it as it is")
	}
	for _, f := range result.Findings {
		status := beside.Warn
		if f.Fault {
			status = beside.Fail
		}
		add(status, f.Key, f.Detail)
	}
	return part
}

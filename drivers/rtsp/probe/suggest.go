package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"meltwatch/config"
	"meltwatch/drivers"
)

// suggest makes the section of the configuration, and checks it as the agent does.
func (p *prober) suggest() (string, error) {
	text := section(p.options, p.transport(), p.measuredLimits(), fits(p.options.Settings.Crop, *p.watched))
	if _, err := config.Parse([]byte(surroundings + text)); err != nil {
		return "", fmt.Errorf("the section found is refused by the configuration: %w", err)
	}
	return text, nil
}

// transport is the one to write: auto, unless TCP costs a refused attempt each time or
// one was asked for.
func (p *prober) transport() string {
	if p.options.Settings.Transport != drivers.TransportAuto {
		return p.options.Settings.Transport
	}
	for _, t := range p.result.Transports {
		if t.Name == drivers.TransportTCP && !t.Works {
			return drivers.TransportUDP
		}
	}
	return drivers.TransportAuto
}

// limits are the time limits that the stream needs, 0 for the default.
type limits struct{ stale, frozen, timeout time.Duration }

// measuredLimits follow config/sample.yaml: stale_after is at least 2.5 intervals of
// pictures, frozen_after at least two distances of key frames.
func (p *prober) measuredLimits() (l limits) {
	defaults := config.Default().Camera
	if v := p.result.Video; v.Rate > 0 {
		interval := 1 / v.Rate
		if stale := wholeSeconds(2.5 * interval); stale > defaults.StaleAfter {
			l.stale = stale
		}
		if timeout := wholeSeconds(4 * interval); timeout > defaults.Timeout {
			l.timeout = timeout
		}
	}
	if frozen := wholeSeconds(2 * max(p.result.Video.KeyFrameSeconds, p.result.Video.KeyFrameAtLeast)); frozen > defaults.FrozenAfter {
		l.frozen = frozen
	}
	return l
}

// wholeSeconds rounds up, to the bound of the settings at most. What exceeds a second by
// the measurement's error alone does not count.
func wholeSeconds(s float64) time.Duration {
	const tolerance = 0.1
	return min(time.Duration(math.Ceil(s-tolerance))*time.Second, time.Minute)
}

var plain = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9:/._-]*$`)

// scalar writes a text so that YAML reads it as a text.
func scalar(text string) string {
	if plain.MatchString(text) && !strings.HasSuffix(text, ":") {
		return text
	}
	quoted, _ := json.Marshal(text) //nolint:errchkjson // a string has no fault
	return string(quoted)
}

func section(o Options, transport string, l limits, fits bool) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	s := o.Settings
	line("camera:\n  enabled: true\n  url: %s", scalar(s.URL))
	if s.Username != "" {
		line("  username: %s", quotedScalar(s.Username))
	}
	if o.PasswordFile != "" {
		line("  password_file: %s", scalar(o.PasswordFile))
	}
	if o.CAFile != "" {
		line("  ca_file: %s", scalar(o.CAFile))
	}
	line("  transport: %s", transport)
	for _, limit := range []struct {
		name  string
		value time.Duration
		why   string
	}{
		{"timeout", l.timeout, "four times the time between two pictures"},
		{"stale_after", l.stale, "2.5 times the time between two pictures"},
		{"frozen_after", l.frozen, "twice the distance of key frames"},
	} {
		if limit.value > 0 {
			line("  %s: %s      # %s", limit.name, limit.value, limit.why)
		}
	}
	if s.Crop == (drivers.Rect{}) || !fits {
		line("  # crop: {x: 0, y: 0, width: 0, height: 0}      # the whole picture; try the shell's with --crop X,Y,W,H")
	} else {
		line("  crop: {x: %d, y: %d, width: %d, height: %d}", s.Crop.X, s.Crop.Y, s.Crop.Width, s.Crop.Height)
	}
	return b.String()
}

// quotedScalar quotes what YAML might take for a number or a truth value.
func quotedScalar(text string) string {
	quoted, _ := json.Marshal(text) //nolint:errchkjson // a string has no fault
	return string(quoted)
}

// surroundings complete a camera section to a configuration.
const surroundings = `site: plant
furnace: f1
meters: {main: {url: "tcp://127.0.0.1:502", fields: {current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}}}}
state: {normal_current: 1}
mqtt: {broker: "tcp://127.0.0.1:1883"}
`

// flags are the flags that stand for keys of the section.
var flags = map[string]string{
	"url": "URL", "username": "--username", "password_file": "--password-file", "ca_file": "--ca-file",
	"transport": "--transport", "timeout": "--timeout", "crop": "--crop",
}

// check refuses what the configuration refuses; the error names the flag.
func (o Options) check() error {
	if o.Within < MinWithin || o.Within > MaxWithin {
		return fmt.Errorf("--within %s is out of bounds: want %s to %s", o.Within, MinWithin, MaxWithin)
	}
	text := section(o, o.Settings.Transport, limits{timeout: o.Settings.Timeout}, true)
	_, err := config.Parse([]byte(surroundings + text))
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		return err
	}
	key := strings.TrimPrefix(problems[0].Key, "camera.")
	first, _, _ := strings.Cut(key, ".")
	if flag := flags[first]; flag != "" {
		return fmt.Errorf("%s: %s", flag, problems[0].Message)
	}
	return fmt.Errorf("%s: %s", key, problems[0].Message)
}

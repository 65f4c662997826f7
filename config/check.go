package config

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report reports one problem of a key.
type report func(key, format string, args ...any)

// newer reports a fault that release 0.3.0 accepted.
func (f report) newer(key, format string, args ...any) { f(key, newer+format, args...) }

// under prefixes every key.
func (f report) under(prefix string) report {
	return func(key, format string, args ...any) {
		if key == "" {
			f(prefix, format, args...)
			return
		}
		f(join(prefix, key), format, args...)
	}
}

func (f report) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		f(key, "%q is not one of %s", clip(value), strings.Join(allowed, ", "))
	}
}

func (f report) between(key string, value, least, most float64) {
	if value < least || value > most {
		f(key, "%s is out of bounds: want %s to %s", formatNumber(value), formatNumber(least), formatNumber(most))
	}
}

func (f report) duration(key string, value, least, most time.Duration) {
	if value < least || value > most {
		f(key, "%s is out of bounds: want %s to %s", value, least, most)
	}
}

func (f report) topicWord(key, value string) {
	switch {
	case value == "":
		f(key, "is missing: it is part of every topic, such as plant-1")
	case !ValidName(value):
		f(key, "%q cannot be part of a topic: use 1–64 letters, digits, - or _", clip(value))
	}
}

// url checks a URL's scheme and host and that it holds no secret.
func (f report) url(key, value string, schemes ...string) {
	if value == "" {
		f(key, "is missing: give it as %s://host:port", schemes[0])
		return
	}
	u, err := url.Parse(value)
	switch {
	case err != nil:
		// The parser's message would repeat the URL, which may hold a password.
		f(key, "invalid URL: give it as %s://host:port", schemes[0])
	case !slices.Contains(schemes, u.Scheme):
		f(key, "scheme %q is not one of %s", clip(u.Scheme), strings.Join(schemes, ", "))
	case u.User != nil:
		f(key, "holds a user or password: use username and password_file instead")
	case u.Scheme == "rtu" && (u.Host != "" || u.Path == ""):
		f(key, "names no serial device: give it as rtu:///dev/ttyUSB0")
	case u.Scheme != "rtu" && u.Hostname() == "":
		f(key, "names no host: give it as %s://host:port", schemes[0])
	case u.Port() == "" && u.Scheme == "ssl":
		f.newer(key, "names no port: give it as ssl://%s:8883", clip(u.Hostname()))
	case u.Port() == "" && slices.Contains([]string{"tcp", "rtuovertcp"}, u.Scheme):
		f(key, "names no port: give it as %s://%s:port", u.Scheme, clip(u.Hostname()))
	case strings.HasSuffix(u.Host, ":"):
		f.newer(key, "port is missing after the colon: want 1 to 65535")
	case u.Port() != "" && !validPort(u.Port()):
		f.newer(key, "port %s is out of bounds: want 1 to 65535", clip(u.Port()))
	}
}

func validPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && port > 0
}

func check(c Config, f report) {
	f.topicWord("site", c.Site)
	f.topicWord("furnace", c.Furnace)
	checkMeters(c.Meters, c.State.NormalCurrent, f)
	if c.Camera.Enabled {
		c.Camera.check(f.under("camera"))
	}
	c.Model.check(f.under("model"))
	c.State.check(f.under("state"))
	c.MQTT.check(f.under("mqtt"))
	c.Outbox.check(f.under("outbox"))
	c.Remote.check(f.under("remote"), c.Trust)
	c.Trust.check(f.under("trust"))
	c.Commands.check(f.under("commands"))
	c.Metrics.check(f.under("metrics"))
	c.Recorder.check(f.under("recorder"))
	c.Web.check(f.under("web"))
	f.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	f.oneOf("log.format", c.Log.Format, "text", "json")
	if c.Paths.State == "" {
		f("paths.state", "is missing: a folder that survives a restart, such as /var/lib/meltwatch")
	}
}

func (m Model) check(f report) {
	if m.Path == "" {
		f("path", "is missing: the folder that holds the model's manifest.json")
	}
	f.duration("timeout", m.Timeout, 50*time.Millisecond, 900*time.Millisecond)
}

func (s State) check(f report) {
	f.filter(Suspect{s.MeanSeconds, s.Enter, s.Exit, s.HoldSeconds})
	f.under("suspect").filter(s.Suspect)
	f.between("cv_120", s.CV120, 0, 1)
	f.between("cv_45", s.CV45, 0, 1)
	f.between("normal_current", s.NormalCurrent, 0, 200_000)
}

// filter checks the length of a mean and the thresholds on it.
func (f report) filter(s Suspect) {
	f.between("mean_seconds", float64(s.MeanSeconds), 0, 120)
	f.between("hold_seconds", float64(s.HoldSeconds), 0, 600)
	f.between("enter", s.Enter, 0, 1)
	f.between("exit", s.Exit, 0, 1)
	if s.Enter != 0 && s.Exit != 0 && s.Exit > s.Enter {
		f("exit", "%g is above enter (%g): the state would flicker; set it to %g or less", s.Exit, s.Enter, s.Enter)
	}
}

func (o Outbox) check(f report) {
	f.between("total_mb", float64(o.TotalMB), 8, 1_000_000)
	total := float64(o.TotalMB)
	f.between("event_mb", float64(o.EventMB), 2, total)
	f.between("state_mb", float64(o.StateMB), 2, total)
	f.between("current_mb", float64(o.CurrentMB), 2, total)
	f.duration("event_age", o.EventAge, time.Hour, 3650*day)
	f.duration("state_age", o.StateAge, time.Hour, 3650*day)
	f.duration("current_age", o.CurrentAge, time.Hour, 3650*day)
}

// formatNumber formats a number without an exponent.
func formatNumber(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

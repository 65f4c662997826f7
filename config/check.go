package config

import (
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// fault reports one problem of a key.
type fault func(key, format string, args ...any)

// under prefixes every key.
func (f fault) under(prefix string) fault {
	return func(key, format string, args ...any) {
		if key == "" {
			f(prefix, format, args...)
			return
		}
		f(join(prefix, key), format, args...)
	}
}

func (f fault) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		f(key, "%q is not one of %s", clip(value), strings.Join(allowed, ", "))
	}
}

func (f fault) between(key string, value, least, most float64) {
	if value < least || value > most {
		f(key, "%s is out of bounds: want %s to %s", plain(value), plain(least), plain(most))
	}
}

func (f fault) lasting(key string, value, least, most time.Duration) {
	if value < least || value > most {
		f(key, "%s is out of bounds: want %s to %s", value, least, most)
	}
}

func (f fault) word(key, value string) {
	switch {
	case value == "":
		f(key, "is missing: it is part of every topic, such as plant-1")
	case !validName(value):
		f(key, "%q cannot be part of a topic: use 1–64 letters, digits, - or _", clip(value))
	}
}

// address checks a URL's scheme and host and that it holds no secret.
func (f fault) address(key, value string, schemes ...string) {
	if value == "" {
		f(key, "is missing: give it as %s://host:port", schemes[0])
		return
	}
	u, err := url.Parse(value)
	switch {
	case err != nil:
		// The parser's own words would repeat the URL, and with it a password.
		f(key, "is not a URL: give it as %s://host:port", schemes[0])
	case !slices.Contains(schemes, u.Scheme):
		f(key, "scheme %q is not one of %s", clip(u.Scheme), strings.Join(schemes, ", "))
	case u.User != nil:
		f(key, "holds a user or password: use username and password_file instead")
	case u.Scheme == "rtu" && (u.Host != "" || u.Path == ""):
		f(key, "names no serial device: give it as rtu:///dev/ttyUSB0")
	case u.Scheme != "rtu" && u.Hostname() == "":
		f(key, "names no host: give it as %s://host:port", schemes[0])
	case slices.Contains([]string{"tcp", "rtuovertcp"}, u.Scheme) && u.Port() == "":
		f(key, "names no port: give it as %s://%s:port", u.Scheme, clip(u.Hostname()))
	}
}

func check(c Config, f fault) {
	f.word("site", c.Site)
	f.word("furnace", c.Furnace)
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
	f.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	f.oneOf("log.format", c.Log.Format, "text", "json")
	if c.Paths.State == "" {
		f("paths.state", "is missing: a folder that survives a restart, such as /var/lib/meltwatch")
	}
}

func checkMeters(meters map[string]Meter, normalCurrent float64, f fault) {
	if len(meters) == 0 {
		f("meters", "is missing: give at least one meter with current_a, current_b and current_c")
		return
	}
	lines := map[string]Serial{}
	carrier := map[string]string{}
	names := make([]string, 0, len(meters))
	for name := range meters {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		m, under := meters[name], f.under("meters."+name)
		m.check(under)
		if shared, ok := lines[m.URL]; ok && shared != m.Serial && strings.HasPrefix(m.URL, "rtu:") {
			under("serial", "differs from another meter's on the same line: give them the same settings")
		}
		lines[m.URL] = m.Serial
		for field := range m.Fields {
			if other, taken := carrier[field]; taken {
				under("fields."+field, "is carried by meter %s too: keep one", other)
			}
			carrier[field] = name
		}
	}
	checkPhases(carrier, f)
	if carrier[FieldSetPoint] == "" && normalCurrent == 0 {
		f("state.normal_current", "is missing: without the field set_point it alone tells an idle furnace from a quiet, dangerous one; give the usual current in amperes")
	}
}

// checkPhases wants the three currents in one meter: read by different requests
// they would not be of one instant.
func checkPhases(carrier map[string]string, f fault) {
	phases := []string{FieldCurrentA, FieldCurrentB, FieldCurrentC}
	for _, phase := range phases {
		if carrier[phase] == "" {
			f("meters", "no meter carries %s: add it to a meter's fields", phase)
			return
		}
	}
	if a, b, c := carrier[phases[0]], carrier[phases[1]], carrier[phases[2]]; a != b || b != c {
		f("meters", "current_a, current_b and current_c stand in different meters: they must be read together, from one")
	}
}

func (m Meter) check(f fault) {
	f.address("url", m.URL, "tcp", "rtuovertcp", "rtu")
	least, most := 0.0, 255.0
	if strings.HasPrefix(m.URL, "rtu") { // on a serial line 0 is a broadcast, beyond 247 is reserved
		least, most = 1, 247
	}
	f.between("unit", float64(m.Unit), least, most)
	f.lasting("period", m.Period, 50*time.Millisecond, time.Minute)
	f.lasting("timeout", m.Timeout, 10*time.Millisecond, 30*time.Second)
	if m.Timeout >= m.Period {
		f("timeout", "%s must be shorter than period (%s): a late reply would eat the next poll", m.Timeout, m.Period)
	}
	f.lasting("settle", m.Settle, 0, 10*time.Second)
	f.lasting("gap", m.Gap, 0, time.Second)
	f.between("base", float64(m.Base), 0, 1)
	m.Serial.check(f.under("serial"))
	if len(m.Fields) == 0 {
		f("fields", "is missing: name at least one of %s", strings.Join(fieldNames, ", "))
	}
	names := make([]string, 0, len(m.Fields))
	for name := range m.Fields {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		m.Fields[name].check(f.under("fields."+name), name, m.Base)
	}
}

func (s Serial) check(f fault) {
	if !slices.Contains(baudRates, s.Baud) {
		f("baud", "%d is not one of %s", s.Baud, strings.Trim(fmt.Sprint(baudRates), "[]"))
	}
	if s.DataBits != 8 {
		f("data_bits", "%d is not 8: RTU frames are binary", s.DataBits)
	}
	f.oneOf("parity", s.Parity, "none", "even", "odd")
	f.between("stop_bits", float64(s.StopBits), 1, 2)
}

var (
	baudRates  = []int{1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600}
	bitFields  = []string{FieldFeeding, FieldExhaust, FieldManual}
	fieldNames = append([]string{FieldCurrentA, FieldCurrentB, FieldCurrentC, FieldSetPoint}, bitFields...)
)

func (r Field) check(f fault, name string, base int) {
	if !slices.Contains(fieldNames, name) {
		f("", "is not a quantity the agent uses: known are %s", strings.Join(fieldNames, ", "))
		return
	}
	f.between("address", float64(r.Address), float64(base), 65_535+float64(base))
	if r.Function != 3 && r.Function != 4 {
		f("function", "%d is not 3 (holding registers) or 4 (input registers)", r.Function)
	}
	f.oneOf("type", r.Type, "int16", "uint16", "int32", "uint32", "float32", "bit")
	f.oneOf("order", r.Order, "ABCD", "CDAB", "BADC", "DCBA")
	f.between("bit", float64(r.Bit), 0, 15)
	if r.Scale == 0 {
		f("scale", "0 would turn every value into the offset: leave it out for 1")
	}
	if wantBit := slices.Contains(bitFields, name); wantBit != (r.Type == "bit") {
		f("type", "%s wants %s", name, map[bool]string{true: "type bit", false: "a number type, not bit"}[wantBit])
	}
}

func (c Camera) check(f fault) {
	f.address("url", c.URL, "rtsp", "rtsps")
	f.lasting("timeout", c.Timeout, 500*time.Millisecond, time.Minute)
	f.lasting("stale_after", c.StaleAfter, 500*time.Millisecond, time.Minute)
	f.lasting("frozen_after", c.FrozenAfter, 500*time.Millisecond, time.Minute)
	f.lasting("black_after", c.BlackAfter, 500*time.Millisecond, time.Minute)
	crop := f.under("crop")
	crop.between("x", float64(c.Crop.X), 0, 16_384)
	crop.between("y", float64(c.Crop.Y), 0, 16_384)
	if c.Crop != (Crop{}) {
		crop.between("width", float64(c.Crop.Width), 16, 16_384)
		crop.between("height", float64(c.Crop.Height), 16, 16_384)
	}
	if c.PasswordFile != "" && c.Username == "" {
		f("username", "is missing though password_file is given")
	}
}

func (m Model) check(f fault) {
	if m.Path == "" {
		f("path", "is missing: the folder that holds the model's manifest.json")
	}
	f.lasting("timeout", m.Timeout, 50*time.Millisecond, 900*time.Millisecond)
}

func (s State) check(f fault) {
	f.between("mean_seconds", float64(s.MeanSeconds), 0, 120)
	f.between("hold_seconds", float64(s.HoldSeconds), 0, 600)
	f.between("enter", s.Enter, 0, 1)
	f.between("exit", s.Exit, 0, 1)
	if s.Enter != 0 && s.Exit != 0 && s.Exit > s.Enter {
		f("exit", "%g is above enter (%g): the state would flicker", s.Exit, s.Enter)
	}
	f.between("cv_120", s.CV120, 0, 1)
	f.between("cv_45", s.CV45, 0, 1)
	f.between("normal_current", s.NormalCurrent, 0, 200_000)
}

func (m MQTT) check(f fault) {
	m.checkBrokers(f)
	f.lasting("keep_alive", m.KeepAlive, time.Second, time.Hour)
	f.between("queue", float64(m.Queue), 100, 1_000_000)
	f.between("history_rate", float64(m.HistoryRate), 1, 10_000)
	if len(m.ClientID) > 128 {
		f("client_id", "is over 128 bytes: shorten it")
	}
	if m.PasswordFile != "" && m.Username == "" {
		f("username", "is missing though password_file is given")
	}
	if m.CertFile != "" && m.KeyFile == "" {
		f("key_file", "is missing though cert_file is given: the broker wants to see both")
	}
	if m.KeyFile != "" && m.CertFile == "" {
		f("cert_file", "is missing though key_file is given: the broker wants to see both")
	}
}

var brokerSchemes = []string{"tcp", "ssl", "ws", "wss"}

func (m MQTT) checkBrokers(f fault) {
	if len(m.Brokers) == 0 {
		f.address("broker", m.Broker, brokerSchemes...)
	} else if m.Broker != "" {
		f("broker", "is given beside brokers: make it one of them")
	}
	for _, b := range m.Addresses() {
		key := "broker"
		if b.Name != "" {
			key = "brokers." + b.Name
			f.address(key+".url", b.URL, brokerSchemes...)
			f.between(key+".order", float64(m.Brokers[b.Name].Order), 0, 1000)
		}
		if strings.HasPrefix(b.URL, "ssl:") || strings.HasPrefix(b.URL, "wss:") {
			continue
		}
		// Nor may a fail-over lead away from TLS.
		if m.CAFile != "" {
			f("ca_file", "needs a broker of scheme ssl or wss: without TLS it would verify nothing; see %s", key)
		}
		if m.CertFile != "" {
			f("cert_file", "needs a broker of scheme ssl or wss: without TLS it is shown to nobody; see %s", key)
		}
	}
}

func (o Outbox) check(f fault) {
	f.between("total_mb", float64(o.TotalMB), 8, 1_000_000)
	total := float64(o.TotalMB)
	f.between("event_mb", float64(o.EventMB), 2, total)
	f.between("state_mb", float64(o.StateMB), 2, total)
	f.between("current_mb", float64(o.CurrentMB), 2, total)
	f.lasting("event_age", o.EventAge, time.Hour, 3650*day)
	f.lasting("state_age", o.StateAge, time.Hour, 3650*day)
	f.lasting("current_age", o.CurrentAge, time.Hour, 3650*day)
}

// plain writes a number without an exponent.
func plain(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

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
)

// suggestion is what the YAML is made of.
type suggestion struct {
	options Options
	unit    int
	// fields are lines without indentation.
	fields []string
	// settings are further lines of the meter.
	settings []string
	// normalCurrent is given where no set-point is read, in amperes.
	normalCurrent float64
}

// suggest makes the section of the configuration, and checks it as the agent does.
func suggest(o Options, s Survey, c Candidate) (string, error) {
	out := suggestion{options: o, unit: c.Unit, settings: settings(s, c)}
	for phase, name := range []string{config.FieldCurrentA, config.FieldCurrentB, config.FieldCurrentC} {
		out.fields = append(out.fields, fieldLine(name, c.Address[phase], c.Function, c.Type, c.Order, c.Scale[phase]))
	}
	if p := c.SetPoint; p != nil {
		out.fields = append(out.fields, fieldLine(config.FieldSetPoint, p.Address, c.Function, p.Type, p.Order, p.Scale))
	} else {
		out.normalCurrent = roundAmperes(o.Expected, c.mean())
	}
	out.fields = append(out.fields, bitLines(s, c)...)
	if err := checkMeter(out); err != nil {
		return "", fmt.Errorf("the section found is refused by the configuration: %w", err)
	}
	return out.yaml(), nil
}

// roundAmperes is the usual current to write: as given, or else as seen, to two digits.
func roundAmperes(expected, seen float64) float64 {
	if expected > 0 {
		return expected
	}
	unit := math.Pow(10, math.Floor(math.Log10(seen))-1)
	return math.Round(seen/unit) * unit
}

// settings are the meter's settings that this device needs.
func settings(s Survey, c Candidate) (lines []string) {
	if s.Slowest > 200*time.Millisecond {
		period := max(s.Slowest*2, 500*time.Millisecond).Round(100 * time.Millisecond)
		lines = append(lines, fmt.Sprintf("period: %s      # the device took up to %s to answer", period, s.Slowest.Round(10*time.Millisecond)),
			fmt.Sprintf("timeout: %s", (period*8/10).Round(10*time.Millisecond)))
	}
	r := s.reads[areaKey{c.Unit, c.Function}]
	if r == nil {
		return lines
	}
	if r.longest < maxRead {
		lines = append(lines, fmt.Sprintf("read_max: %d      # the device gave no more at once", max(r.longest, 2)))
	}
	last := c.Address[2]
	if c.SetPoint != nil {
		last = max(last, c.SetPoint.Address)
	}
	for register := c.Address[0]; register < last; register++ {
		if r.area.at(register) == nil {
			return append(lines, "read_gap: 0      # the device refuses registers in between")
		}
	}
	return lines
}

func fieldLine(name string, address, function int, typ, order string, scale float64) string {
	line := fmt.Sprintf("%s: {address: %d, function: %d, type: %s, order: %s", name, address, function, typ, order)
	if scale != 1 {
		line += fmt.Sprintf(", scale: %g", scale)
	}
	return line + "}"
}

// bitLines are comments: nothing tells which bit is which.
func bitLines(s Survey, c Candidate) (lines []string) {
	for _, a := range s.Areas {
		if a.Unit != c.Unit || a.Function != c.Function {
			continue
		}
		for _, register := range flagRegisters(a, c) {
			words := a.at(register)
			lines = append(lines, fmt.Sprintf("# register %d may hold bits (%s): watch which follows feeding, exhaust or manual, then write", register, bitText(words)),
				fmt.Sprintf("# feeding: {address: %d, function: %d, type: bit, bit: 0}", register, a.Function))
		}
	}
	return lines
}

var plainURL = regexp.MustCompile(`^[A-Za-z0-9:/._-]+$`)

func (s suggestion) yaml() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	url := s.options.URL
	if !plainURL.MatchString(url) {
		quoted, _ := json.Marshal(url) //nolint:errchkjson // a string has no fault
		url = string(quoted)
	}
	line("meters:\n  main:\n    url: %s\n    unit: %d\n    base: 0      # the addresses below are those of the wire", url, s.unit)
	if strings.HasPrefix(url, "rtu:") {
		o := s.options.Serial
		line("    serial: {baud: %d, parity: %s, stop_bits: %d}", o.Baud, o.Parity, o.StopBits)
	}
	for _, setting := range s.settings {
		line("    %s", setting)
	}
	line("    fields:")
	for _, field := range s.fields {
		line("      %s", field)
	}
	if s.normalCurrent > 0 {
		line("state:\n  normal_current: %g      # amperes; give the furnace's usual current, as no set-point is read", s.normalCurrent)
	}
	return b.String()
}

// surroundings complete a meters section to a configuration.
const surroundings = "site: plant\nfurnace: f1\ncamera: {enabled: false}\nmqtt: {broker: \"tcp://127.0.0.1:1883\"}\n"

// flags are the flags that stand for a meter's keys.
var flags = map[string]string{"url": "URL", "unit": "--unit", "serial.baud": "--baud", "serial.parity": "--parity", "serial.stop_bits": "--stop-bits"}

// checkMeter checks a suggestion by the configuration's own rules. Without fields, URL,
// unit and serial settings are checked, and the error names the flag.
func checkMeter(s suggestion) error {
	options := len(s.fields) == 0
	if options {
		s.fields, s.normalCurrent = []string{"current_a: {address: 0}", "current_b: {address: 2}", "current_c: {address: 4}"}, 1
	}
	_, err := config.Parse([]byte(surroundings + s.yaml()))
	var problems config.Problems
	if !options || !errors.As(err, &problems) || len(problems) == 0 {
		return err
	}
	key := strings.TrimPrefix(problems[0].Key, "meters.main.")
	if flag := flags[key]; flag != "" {
		key = flag
	}
	return fmt.Errorf("%s: %s", key, problems[0].Message)
}

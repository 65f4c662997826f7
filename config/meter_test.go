package config

import (
	"strings"
	"testing"
	"time"
)

func TestLineGap(t *testing.T) {
	serial := func(baud int, gap time.Duration) Meter {
		return Meter{URL: "rtu:///dev/ttyUSB0", Gap: gap, Serial: Serial{Baud: baud}}
	}
	for _, c := range []struct {
		name   string
		meters []Meter
		want   time.Duration
	}{
		{"9,600 baud", []Meter{serial(9600, 0)}, 4010416 * time.Nanosecond},
		{"19,200 baud", []Meter{serial(19_200, 0)}, 2005208 * time.Nanosecond},
		{"38,400 baud", []Meter{serial(38_400, 0)}, 1750 * time.Microsecond},
		{"115,200 baud", []Meter{serial(115_200, 0)}, 1750 * time.Microsecond},
		{"a longer gap on a serial line", []Meter{serial(9600, 5*time.Millisecond)}, 5 * time.Millisecond},
		{"the longest of a shared line", []Meter{{URL: "tcp://plc:502"}, {URL: "tcp://plc:502", Gap: 7 * time.Millisecond}}, 7 * time.Millisecond},
		{"RTU over TCP, where the gateway keeps the silence", []Meter{{URL: "rtuovertcp://gateway:502", Serial: Serial{Baud: 9600}}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := LineGap(c.meters...); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// Each type that the configuration accepts has a size.
func TestFieldTypesHaveRegisters(t *testing.T) {
	for _, name := range FieldTypes {
		if n := (Field{Type: name}).Registers(); n != 1 && n != 2 {
			t.Errorf("%s takes %d registers", name, n)
		}
	}
}

// The quickest meter is read 100 times a second, with a timeout below its period.
func TestMeterPace(t *testing.T) {
	for pace, want := range map[string]string{
		"period: 10ms, timeout: 6ms":  "",
		"period: 10ms, timeout: 2ms":  "",
		"period: 9ms, timeout: 6ms":   "meters.main.period (line 6): 9ms is out of bounds: want 10ms to 1m0s",
		"period: 10ms, timeout: 1ms":  "meters.main.timeout (line 7): 1ms is out of bounds: want 2ms to 30s",
		"period: 10ms, timeout: 10ms": "meters.main.timeout (line 7): 10ms must be shorter than period (10ms)",
	} {
		_, err := Parse([]byte(strings.Replace(string(read(t, "testdata/good.yaml")), "    fields:", "    "+strings.Replace(pace, ", ", "\n    ", 1)+"\n    fields:", 1)))
		said := ""
		if err != nil {
			said = err.Error()
		}
		if want == "" && said != "" || !strings.Contains(said, want) {
			t.Errorf("%s: %q, want %q", pace, said, want)
		}
	}
}

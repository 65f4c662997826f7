package config

import (
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

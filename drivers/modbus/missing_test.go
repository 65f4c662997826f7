package modbus

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/config"
	"meltwatch/drivers"
)

// A phase that is not available, or that a furnace cannot have, makes the sample
// missing and says why; the connection stays and samples keep coming.
func TestMissingCurrents(t *testing.T) {
	for _, c := range []struct {
		name string
		typ  string
		wire []byte
		want string
	}{
		{"int16 0x8000", "int16", []byte{0x80, 0}, "current_b: 0x8000 (int16) means not available"},
		{"uint16 0xFFFF", "uint16", []byte{0xff, 0xff}, "current_b: 0xFFFF (uint16) means not available"},
		{"float32 NaN", "float32", []byte{0x7f, 0xc0, 0, 0}, "current_b: 0x7FC00000 (float32) means not available"},
		{"a reversed transformer", "int16", []byte{0xd9, 0xf5}, "current_b: 0xD9F5 (int16) gives -9739 A, below current_min (-500 A): a reversed transformer? then set a negative scale"},
		{"above every furnace", "uint16", []byte{0xff, 0xfe}, "current_b: 0xFFFE (uint16) gives 65534 A, above current_max (40000 A)"},
		{"in another byte order", "float32", []byte{0x60, 0, 0x46, 0x6a}, "above current_max"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, m := distant(schemeTCP)
				m.CurrentMax = 40_000
				size := config.Field{Type: c.typ}.Registers()
				for phase, quantity := range currents {
					f := float32At(size * phase)
					f.Type = c.typ
					m.Fields[quantity] = f
				}
				d.play(3, func(d *device, _ io.ReadWriteCloser, request, _ []byte) []byte {
					body := append([]byte{3, byte(6 * size)}, make([]byte, 6*size)...)
					copy(body[2+2*size:], c.wire) // the other phases read 0
					return d.frame(request, body)
				})
				samples, reports := inBubble(t, d, map[string]config.Meter{"main": m}, 3*m.Period-1)
				if len(samples) != 3 || len(reports) != 3 {
					t.Fatalf("%d samples, want 3 of %+v", len(samples), reports)
				}
				for i, s := range samples {
					if reports[i].Err != nil || !strings.Contains(s.Missing, c.want) || s.Current != [drivers.Phases]float64{} || reports[i].Invalid != s.Missing {
						t.Fatalf("report %+v, sample %+v, want missing %q", reports[i], s, c.want)
					}
				}
				if r := reports[2]; r.Counters.Invalid != 3 || r.Counters.Errors != 0 || r.Counters.Redials != 0 {
					t.Errorf("counters %+v", r.Counters)
				}
			})
		})
	}
}

// A meter that starts holds one mark in all its registers, which no type may turn
// into a current: −1 A or 0 A on each phase would be taken for a furnace that is off.
func TestRegistersThatAreNotFilled(t *testing.T) {
	for _, typ := range config.FieldTypes {
		if typ == "bit" {
			continue
		}
		size := config.Field{Type: typ}.Registers()
		for _, word := range []uint16{0xffff, 0x8000, 0x7fff} {
			for _, scale := range []float64{1, 0.1, 0.001, 1e-6} {
				got := newReading()
				r := request{Quantity: uint16(size * drivers.Phases)}
				for phase, quantity := range currents {
					r.fields = append(r.fields, placed{quantity, size * phase, config.Field{Type: typ, Order: "ABCD", Scale: scale}})
				}
				wire := bytes.Repeat([]byte{byte(word >> 8), byte(word)}, int(r.Quantity))
				if err := got.decode(r, reply{registers: wire}); err != nil {
					t.Fatal(err)
				}
				got.validate(config.Meter{CurrentMin: -500, CurrentMax: 40_000}, 0)
				if got.missing() == "" {
					t.Errorf("%s of 0x%04X, scale %g, gives %v", typ, word, scale, got.values)
				}
			}
		}
	}
}

// One phase alone may well read what another type's mark is.
func TestOnePhaseWithAMarkOfAnotherTypeIsAValue(t *testing.T) {
	got := newReading()
	var r request
	for phase, quantity := range currents {
		r.fields = append(r.fields, placed{quantity, phase, config.Field{Type: "int16", Order: "ABCD", Scale: 1}})
	}
	r.Quantity = drivers.Phases
	if err := got.decode(r, reply{registers: []byte{0xff, 0xff, 0x3a, 0x98, 0x3a, 0x98}}); err != nil {
		t.Fatal(err)
	}
	got.validate(config.Meter{CurrentMin: -500, CurrentMax: 40_000}, 0)
	if got.missing() != "" || got.values[config.FieldCurrentA] != -1 {
		t.Errorf("%v, missing %q", got.values, got.missing())
	}
}

// One missing sample costs itself alone.
func TestOneMissingSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, m := distant(schemeRTUTCP)
		time.AfterFunc(m.Period+m.Period/2, func() { d.play(1, register(2, 0x7fc0)) })
		samples, reports := inBubble(t, d, map[string]config.Meter{"main": m}, 5*m.Period-1)
		for i, s := range samples {
			if missing := s.Missing != ""; missing != (i == 2) || reports[i].Err != nil {
				t.Errorf("sample %d: missing %q, %v", i, s.Missing, reports[i].Err)
			}
		}
		if len(samples) != 5 || reports[4].Counters.Invalid != 1 {
			t.Errorf("%d samples, counters %+v", len(samples), reports[4].Counters)
		}
	})
}

// Without current_max the usual current bounds what a phase can draw: the set-point,
// where nothing is configured, also while it cannot be read.
func TestBoundFollowsTheSetPoint(t *testing.T) {
	for name, c := range map[string]struct {
		setPoint, before, current float64
		missing                   bool
	}{
		"a furnace on record":                {15_000, 0, 19_900, false},
		"beyond one on record":               {15_000, 0, 45_100, true},
		"a large furnace":                    {80_000, 0, 95_000, false},
		"a large one, its set-point cleared": {0, 80_000, 95_000, false},
		"beyond a large one":                 {80_000, 80_000, 250_000, true},
		"set-point beyond any furnace":       {3e9, 0, 95_000, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newReading()
			g.values[config.FieldSetPoint] = c.setPoint
			for _, phase := range currents {
				g.values[phase] = c.current
			}
			g.validate(config.Meter{CurrentMin: -500}, c.before)
			if (g.missing() != "") != c.missing {
				t.Errorf("missing: %q", g.missing())
			}
		})
	}
}

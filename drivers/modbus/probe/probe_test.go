package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"meltwatch/config"
	"meltwatch/simulator/serve"
)

// quick are options at a rate that a test can wait for.
func quick(url string) Options {
	return Options{
		URL: url, Serial: config.Serial{Baud: 115_200, DataBits: 8, Parity: "even", StopBits: 1},
		Units: Span{1, 5}, Registers: Span{0, 60}, Timeout: 100 * time.Millisecond, Pace: 2 * time.Millisecond,
		Within: 20 * time.Second, Interval: 3 * period,
	}
}

// pasted parses the section found as a user's file that holds it.
func pasted(t *testing.T, r Result) config.Meter {
	t.Helper()
	c, err := config.Parse([]byte(surroundings + r.YAML))
	if err != nil {
		t.Fatalf("the section found is refused: %v\n%s", err, r.YAML)
	}
	return c.Meters["main"]
}

func TestFindsTheSimulatorsMeter(t *testing.T) {
	for _, order := range serve.WordOrders() {
		for _, scheme := range transports {
			t.Run(order+"/"+scheme, func(t *testing.T) {
				t.Parallel()
				sim, err := serve.Start(t.Context(), serve.Options{Seed: 3, WordOrder: order, Unit: 2, NoCamera: true})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := sim.Close(); err != nil {
						t.Error(err)
					}
				})
				d := newDevice(t, scheme, forward(t, sim.MeterURL()))
				o := quick(d.url)
				o.Interval = 550 * time.Millisecond
				began := time.Now()
				r, err := Run(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%v, %d requests", time.Since(began).Round(time.Millisecond), r.Requests)
				m := pasted(t, r)
				want := map[string]int{config.FieldCurrentA: 0, config.FieldCurrentB: 2, config.FieldCurrentC: 4, config.FieldSetPoint: 6}
				for name, address := range want {
					f := m.Fields[name]
					if f.Address != address || f.Order != order || f.Type != "float32" || f.Scale != 1 || f.Function != 3 {
						t.Errorf("%s is %+v, want register %d in %s", name, f, address, order)
					}
				}
				if m.Unit != 2 || m.Base != 0 || m.URL != d.url || !r.Likely {
					t.Errorf("unit %d, base %d, url %s, likely %v", m.Unit, m.Base, m.URL, r.Likely)
				}
				var text strings.Builder
				if err := r.Print(&text); err != nil {
					t.Fatal(err)
				}
				for _, want := range []string{"with base: 1, as most manuals count: current_a 1, current_b 3, current_c 5, set_point 7", "40001, 40003, 40005", "current_a", r.YAML} {
					if !strings.Contains(text.String(), want) {
						t.Errorf("the report lacks %q:\n%s", want, text.String())
					}
				}
			})
		}
	}
}

func TestFindsTheCurrentsOfTenMaps(t *testing.T) {
	for form, like := range forms {
		t.Run(fmt.Sprintf("%s %s ×%g", like.typ, like.order, like.scale), func(t *testing.T) {
			t.Parallel()
			p := newPlant(uint64(1000+form), form)
			switch form % 5 {
			case 1:
				p.mostAtOnce = 10
			case 2:
				p.everyUnit = true
			case 3:
				p.everyFunc = true
			case 4:
				p.silentGaps = true
			}
			d := newDevice(t, transports[form%len(transports)], p.answer)
			began := time.Now()
			r, err := Run(t.Context(), quick(d.url))
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			t.Logf("%v, %d requests, likely %v, notes %q", took.Round(time.Millisecond), r.Requests, r.Likely, r.Notes)
			if took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			if p.everyUnit {
				p.unit = 1
				if notes := strings.Join(r.Notes, " "); !strings.Contains(notes, "unit ids 2, 3, 4, 5: the same registers as unit 1") {
					t.Errorf("notes %q", r.Notes)
				}
			}
			if p.everyFunc {
				p.function = 3
			}
			if len(r.Candidates) == 0 || !p.found(r.Candidates[0]) {
				t.Fatalf("currents at %v of unit %d, function %d; found %v", p.currents, p.unit, p.function, r.Candidates)
			}
			m := pasted(t, r)
			for phase, name := range []string{config.FieldCurrentA, config.FieldCurrentB, config.FieldCurrentC} {
				if f := m.Fields[name]; f.Address != p.currents[phase] || f.Order != like.order || f.Scale != like.scale {
					t.Errorf("%s is %+v", name, f)
				}
			}
			if f, ok := m.Fields[config.FieldSetPoint]; p.setPoint >= 0 && (!ok || f.Address != p.setPoint) {
				t.Errorf("set_point is %+v, want register %d", f, p.setPoint)
			}
		})
	}
}

// A device that gives nothing is named, in its own words and with what to try, and early.
func TestDevicesThatGiveNothing(t *testing.T) {
	flat := func(word byte) func(byte, []byte) []byte {
		return func(_ byte, pdu []byte) []byte {
			body := []byte{pdu[0], 2 * pdu[4]}
			for range 2 * pdu[4] {
				body = append(body, word)
			}
			return body
		}
	}
	for _, c := range []struct {
		fact, scheme string
		answer       func(unit byte, pdu []byte) []byte
		want         []string
		within       time.Duration
	}{
		{"silence", "tcp", func(byte, []byte) []byte { return nil }, []string{"none of the units 1-5 answers", "no answer within", "--unit", "--timeout"}, 4 * time.Second},
		{"silence on RTU over TCP", "rtuovertcp", func(byte, []byte) []byte { return nil }, []string{"none of the units 1-5 answers", "--unit"}, 4 * time.Second},
		{"silence on a serial line", "rtu", func(byte, []byte) []byte { return nil }, []string{"none of the units 1-5 answers", "--baud"}, 4 * time.Second},
		{"a gateway without units", "tcp", func(_ byte, pdu []byte) []byte { return exception(pdu, 11) }, []string{"the gateway answers, but reaches no such unit"}, 2 * time.Second},
		{"exceptions about the function", "tcp", func(_ byte, pdu []byte) []byte { return exception(pdu, 1) }, []string{"unit 1 gives none of the registers 0-60", "--registers"}, 2 * time.Second},
		{"exceptions about the registers", "tcp", func(unit byte, pdu []byte) []byte {
			if unit != 3 {
				return nil
			}
			return exception(pdu, 2)
		}, []string{"unit 3 gives none of the registers", "illegal data address"}, 10 * time.Second},
		{"garbage", "rtuovertcp", func(unit byte, _ []byte) []byte { return []byte{0x55, unit, 0xaa, 1, 2, 3, 4} }, []string{"none of the units 1-5 answers", "answer is of function", "rtuovertcp://"}, 2 * time.Second},
		{"another protocol", "tcp", func(byte, []byte) []byte { return []byte{9} }, []string{"none of the units 1-5 answers", "a stated length of 2 bytes", "rtuovertcp://"}, 4 * time.Second},
		{"zeros", "tcp", flat(0), nil, 6 * time.Second},
		{"marks of no value", "tcp", flat(0xff), nil, 6 * time.Second},
	} {
		t.Run(c.fact, func(t *testing.T) {
			t.Parallel()
			d := newDevice(t, c.scheme, c.answer)
			began := time.Now()
			r, err := Run(t.Context(), quick(d.url))
			if took := time.Since(began); took > c.within {
				t.Errorf("took %v, want %v", took, c.within)
			}
			if c.want == nil {
				if err != nil || r.YAML != "" || !strings.Contains(strings.Join(r.Verify, " "), "No register moved: probe again while the furnace works") {
					t.Errorf("error %v, advice %q", err, r.Verify)
				}
				return
			}
			if err == nil {
				t.Fatalf("found %+v", r.Candidates)
			}
			for _, want := range append(c.want, d.url) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
}

func TestNothingListens(t *testing.T) {
	for url, want := range map[string]string{
		"tcp://127.0.0.1:1":        "check the address and the port",
		"rtuovertcp://127.0.0.1:1": "check the address and the port",
		"rtu:///dev/no-such-line":  "check the device's name",
	} {
		began := time.Now()
		_, err := Run(t.Context(), quick(url))
		if err == nil || !strings.Contains(err.Error(), url+": connect:") || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
	}
}

func TestRefusedOptions(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"URL: names no port":              func(o *Options) { o.URL = "tcp://plc" },
		"URL: scheme \"http\"":            func(o *Options) { o.URL = "http://plc:502" },
		"URL: holds a user or password":   func(o *Options) { o.URL = "tcp://me:secret@plc:502" },
		"URL: \"/tmp/x\" is not a device": func(o *Options) { o.URL = "rtu:///tmp/x" },
		"--unit: 256 is out of bounds":    func(o *Options) { o.Units.Last = 256 },
		"--baud: 12345 is not one of":     func(o *Options) { o.URL, o.Serial.Baud = "rtu:///dev/ttyUSB0", 12_345 },
		"--parity: \"odd-ish\"":           func(o *Options) { o.URL, o.Serial.Parity = "rtu:///dev/ttyUSB0", "odd-ish" },
		"--registers 0-600: want at most": func(o *Options) { o.Registers.Last = 600 },
		"--registers 65500-65540":         func(o *Options) { o.Registers = Span{65_500, 65_540} },
		"--timeout 15s is over half":      func(o *Options) { o.Timeout = 15 * time.Second },
		"--within 1ms is out of bounds":   func(o *Options) { o.Within = time.Millisecond },
		"--timeout 0s":                    func(o *Options) { o.Timeout = 0 },
		"--current -5 is not a furnace's": func(o *Options) { o.Expected = -5 },
	} {
		o := quick("tcp://127.0.0.1:1")
		change(&o)
		_, err := Run(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// The probe keeps its pace, and ends at once when told to.
func TestPaceAndEnd(t *testing.T) {
	d := newDevice(t, "tcp", newPlant(1, 0).answer)
	o := quick(d.url)
	o.Pace = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(700*time.Millisecond, cancel)
	began := time.Now()
	_, err := Run(ctx, o)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > 900*time.Millisecond {
		t.Errorf("ended %v after it was told to", took-700*time.Millisecond)
	}
	if least := d.fastest(); least < 45*time.Millisecond {
		t.Errorf("two requests came %v apart", least)
	}
}

func TestSpan(t *testing.T) {
	for text, want := range map[string]Span{"1-5": {1, 5}, "7": {7, 7}, "0-0": {0, 0}} {
		var s Span
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s is %v, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "-", "5-1", "-1", "1-", "a-b", "1-5-9", "1 5", "99999999999999999999", "1-5x", "0x1"} {
		var s Span
		if err := s.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "give it as 1-5") {
			t.Errorf("%q is %v, %v", text, s, err)
		}
	}
}

// Bits are shown where they are, and left to a person to tell apart.
func TestBits(t *testing.T) {
	for _, scheme := range transports {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			testBits(t, scheme)
		})
	}
}

func testBits(t *testing.T, scheme string) {
	t.Helper()
	p := newPlant(1000, 0)
	flags := p.currents[2] + 4
	for r := range p.registers {
		if r > flags {
			delete(p.registers, r)
		}
	}
	p.registers[flags] = 0b101
	p.quantities, p.values = p.quantities[:0], p.values[:0] // nothing moves but the currents below
	like := p.like
	for i, at := range p.currents {
		like.address, like.registersOf, like.start, like.move = at, 2, 9000+100*float64(i), within(0.04)
		p.quantities, p.values = append(p.quantities, like), append(p.values, like.start)
	}
	d := newDevice(t, scheme, func(unit byte, pdu []byte) []byte {
		if int(unit) == p.unit && pdu[0] == 1 {
			return append([]byte{1, 8}, 0b100, 0, 0, 0, 0, 0, 0, 0)
		}
		return p.answer(unit, pdu)
	})
	r, err := Run(t.Context(), quick(d.url))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Bits) != 1 || r.Bits[0].Function != 1 || !r.Bits[0].Set[2] || r.Bits[0].Set[1] {
		t.Errorf("coils are %+v", r.Bits)
	}
	if want := fmt.Sprintf("# register %d may hold bits (set: 0 2)", flags); !strings.Contains(r.YAML, want) {
		t.Errorf("lacks %q:\n%s", want, r.YAML)
	}
	pasted(t, r)
	var text strings.Builder
	if err := r.Print(&text); err != nil || !strings.Contains(text.String(), "61 coils answer; set: 2 ") {
		t.Errorf("%v:\n%s", err, text.String())
	}
}

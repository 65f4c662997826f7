package check

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/health"
	"meltwatch/agent/meters"
	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/drivers/drivertest"
	"meltwatch/drivers/modbus"
)

// metersAt returns a checker of one meter whose fields are given as YAML.
func metersAt(t *testing.T, url, fields string, more ...string) *checker {
	t.Helper()
	c, err := config.Parse([]byte(fmt.Sprintf(`{site: a, furnace: b, camera: {enabled: false}, mqtt: {broker: "tcp://127.0.0.1:1883"},
meters: {main: {url: %q, period: 100ms, timeout: 80ms, fields: {%s}%s}}, state: {normal_current: 15000}}`,
		url, fields, strings.Join(more, ""))))
	if err != nil {
		t.Fatal(err)
	}
	k := newChecker(Options{Timeout: 15 * time.Second})
	k.config = c
	return k
}

const (
	threeFloats = "current_a: {address: 4}, current_b: {address: 6}, current_c: {address: 8}"
	threeWords  = "current_a: {address: 4, type: int16}, current_b: {address: 5, type: int16}, current_c: {address: 6, type: int16}"
)

// floats returns float32 registers, high word first, from a register on.
func floats(from int, values ...float32) []uint16 {
	registers := make([]uint16, from)
	for _, v := range values {
		bits := math.Float32bits(v)
		registers = append(registers, uint16(bits>>16), uint16(bits))
	}
	return registers
}

func swapped(registers []uint16) []uint16 {
	for i := 0; i+1 < len(registers); i += 2 {
		registers[i], registers[i+1] = registers[i+1], registers[i]
	}
	return registers
}

func longs(from int, values ...uint32) []uint16 {
	registers := make([]uint16, from)
	for _, v := range values {
		registers = append(registers, uint16(v>>16), uint16(v))
	}
	return registers
}

func words(values ...int16) []uint16 {
	registers := make([]uint16, 4)
	for _, v := range values {
		registers = append(registers, uint16(v))
	}
	return registers
}

// The output of check for right and wrong currents.
func TestCheckAssessesCurrents(t *testing.T) {
	for _, c := range []struct {
		name      string
		registers []uint16
		fields    string
		more      string
		ok        bool
		want      string
	}{
		{"as they should be", floats(4, 15_012, 14_890, 15_100), threeFloats, "", true, "15012 14890 15100 A, set-point unknown"},
		{"with a set-point", floats(4, 15_012, 14_890, 15_100, 15_000), threeFloats + ", set_point: {address: 10}", "", true, "15012 14890 15100 A, set-point 15000 A"},
		{"clipped at 20 kA", floats(4, 20_000, 14_890, 20_000), threeFloats, "", true, "20000 14890 20000 A"},
		{"low word first", swapped(floats(4, 15_012, 14_890, 15_100)), threeFloats, "", false,
			"set meters.main.fields.current_a.order: CDAB (current_b, current_c alike) gives 15012 14890 15100 A"},
		{"one register on", floats(5, 15_012, 14_890, 15_100), threeFloats, "", false,
			"set meters.main.fields.current_a.address: 5, meters.main.fields.current_b.address: 7, meters.main.fields.current_c.address: 9 gives 15012"},
		{"counted from 1", floats(3, 15_012, 14_890, 15_100), threeFloats, "", false, "set meters.main.base: 1 gives 15012 14890 15100 A"},
		{"counted from 0", floats(4, 15_012, 14_890, 15_100), threeFloats, ", base: 1", false, "set meters.main.base: 0 gives 15012"},
		{"floats as integers", floats(4, 15_012, 14_890, 15_100),
			"current_a: {address: 4, type: int32}, current_b: {address: 6, type: int32}, current_c: {address: 8, type: int32}", "", false,
			"current_a.type: float32 (current_b, current_c alike) gives 15012 14890 15100 A"},
		{"tenths of an ampere", longs(4, 150_120, 148_900, 151_000),
			"current_a: {address: 4, type: uint32}, current_b: {address: 6, type: uint32}, current_c: {address: 8, type: uint32}", "", false,
			"current_a.scale: 0.1 (current_b, current_c alike) gives 15012 14890 15100 A"},
		{"two transformers reversed", words(15_012, -14_890, -15_100), threeWords, "", false,
			"set meters.main.fields.current_b.scale: -1 (a reversed transformer), meters.main.fields.current_c.scale: -1 (a reversed transformer) gives 15012 14890 15100 A"},
		{"not available", words(15_012, -0x8000, 15_100), threeWords, "", false, "meters.main: current_b: 0x8000 (int16) means not available"},
		{"nothing that fits", floats(4, 90_000, 3, 4e12), threeFloats, "", false, "current_a: 0x47AFC800 (float32) gives 90000 A, above current_max (45000 A)"},
		{"off", floats(4, 3, 0, 12), threeFloats, "", true, "3 0 12 A, set-point unknown; the furnace seems to be off"},
		{"integers as floats", longs(4, 15_012, 14_890, 15_100), threeFloats, "", false,
			"A cannot be a meter's readings: check address, order and type; set meters.main.fields.current_a.type: int32"},
		{"off, or small integers whose bytes are swapped", words(58, 58, 58), threeWords, "", true,
			"58 58 58 A, set-point unknown; the furnace seems to be off; if it is working, meters.main.fields.current_a.order: BADC (current_b, current_c alike) gives 14848 14848 14848 A"},
		{"kiloamperes", floats(4, 15.012, 14.89, 15.1), threeFloats, "", true,
			"seems to be off; if it is working, meters.main.fields.current_a.scale: 1000 (current_b, current_c alike) gives 15012 14890 15100 A"},
		{"kiloamperes, the set-point too", floats(4, 15.012, 14.89, 15.1, 15), threeFloats + ", set_point: {address: 10}", "", false,
			"meters.main.fields: 15 15 15 A, set-point 15 A; the set-point is 15 A, too little for an arc: give amperes"},
		{"not filled yet", []uint16{0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff}, threeWords, "", false,
			"current_c: 0xFFFF, as all registers of the currents hold: the meter is starting, or does not use them"},
		{"starting", floats(4, 3_000, 2_500, 2_800), threeFloats, "", true, "far below state.normal_current (15000 A)"},
		{"a set-point that is not fitted", floats(4, 15_012, 14_890, 15_100, float32(math.NaN())), threeFloats + ", set_point: {address: 10}", "", true,
			"set-point unknown; meters.main.fields.set_point: 0x7FC00000 (float32) means not available"},
		{"a set-point of another order", floats(4, 15_012, 14_890, 15_100, 15_000), threeFloats + ", set_point: {address: 10, order: CDAB}", "", true,
			"meters.main.fields.set_point: 0x6000466A (float32) gives 3.697"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := metersAt(t, drivertest.Registers(t, c.registers, nil), c.fields, c.more)
			detail, err := k.meters(t.Context())
			text := detail
			if err != nil {
				text = err.Error()
			}
			if (err == nil) != c.ok || !strings.Contains(text, c.want) || strings.Contains(text, "\n") {
				t.Errorf("ok %v: %s\nwant ok %v: %s", err == nil, text, c.ok, c.want)
			}
		})
	}
}

// A phase that is unavailable at times is reported even if the last answer was right.
func TestCheckReportsInvalidAnswers(t *testing.T) {
	answers := 0
	k := metersAt(t, drivertest.Registers(t, words(15_012, 14_890, 15_100), func(_, right []byte) []byte {
		if answers++; answers == 2 {
			right[9], right[10] = 0x80, 0
		}
		return right
	}), threeWords)
	detail, err := k.meters(t.Context())
	if want := "meters.main: 1 of 3 answers were invalid: current_a: 0x8000 (int16) means not available"; err != nil || !strings.Contains(detail, want) {
		t.Errorf("%s, %v, want %s", detail, err, want)
	}
}

// A meter that cannot be read is reported in the words of run, before the end of
// --timeout.
func TestCheckReportsTheFaultsOfRun(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "tcp://" + l.Addr().String()
	l.Close()
	for name, c := range map[string]struct {
		twist drivertest.Rewrite
		want  string
	}{
		"nobody listens":               {nil, "meters.main: connect: dial tcp 127.0.0.1:"},
		"transaction number one ahead": {func(_, right []byte) []byte { right[1]++; return right }, "answer has transaction number"},
		"transaction number behind":    {func(_, right []byte) []byte { right[0]--; return right }, "an answer to an earlier request"},
		"another unit":                 {func(_, right []byte) []byte { right[6] = 9; return right }, "answer has unit id 9 where 1 was asked: set unit"},
		"silence":                      {func(_, _ []byte) []byte { return nil }, "no answer within 80ms"},
		"refused":                      {func(q, _ []byte) []byte { return append(q[:4:4], 0, 3, 1, q[7]|0x80, 2) }, "illegal data address"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := nobody
			if c.twist != nil {
				url = drivertest.Registers(t, nil, c.twist)
			}
			k := metersAt(t, url, threeFloats)
			began := time.Now()
			_, err := k.meters(t.Context())
			if took := time.Since(began); err == nil || !strings.Contains(err.Error(), c.want) || took > 8*time.Second {
				t.Fatalf("after %v: %v, want %s", took, err, c.want)
			}
			if said := runSays(t, k.config.Meters); alike(said) != alike(err.Error()) {
				t.Errorf("check says %s\nrun says   %s", err, said)
			}
		})
	}
}

// alike removes the parts that differ between requests.
func alike(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// runSays returns the fault that run reports in health.
func runSays(t *testing.T, polled map[string]config.Meter) string {
	t.Helper()
	registry := health.NewRegistry()
	monitor := meters.NewMonitor(registry.Add("meters", time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	source, err := modbus.New(polled, slog.New(slog.DiscardHandler), func(r modbus.Report) {
		monitor.Note(r)
		cancel()
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Run(ctx, func(drivers.Sample) {}); err != nil {
		t.Fatal(err)
	}
	return registry.Snapshot()["meters"].Error
}

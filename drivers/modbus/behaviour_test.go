package modbus

import (
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/config"
)

// behaviour is a way in which a device or a line is unusual.
type behaviour struct {
	name   string
	kinds  []string // all when empty
	fields func(config.Meter)
	do     trick
	lost   int // polls that may fail at the beginning
	manner string
	// degraded is a part of the reason that an optional quantity is missing.
	degraded string
}

// behaviours are the peculiarities of devices and lines known from field reports.
// Each device behaves so all the time, and gives a sample each period all the same: a
// few polls at the beginning, at most, show how it is to be read.
var behaviours = []behaviour{
	{name: "closes after each answer", kinds: network, do: closing, manner: "closed after each answer"},
	{name: "closes after each answer, two reads a poll", kinds: network, fields: farApart, do: closing, manner: "closed after each answer"},
	{name: "closes every second time", kinds: network, do: func(d *device, conn io.ReadWriteCloser, request, good []byte) []byte {
		if d.requests%2 == 0 {
			return closing(d, conn, request, good)
		}
		return good
	}},
	{name: "closes when it is asked again", kinds: network, do: func(d *device, conn io.ReadWriteCloser, request, good []byte) []byte {
		if d.requests%3 == 0 {
			conn.Close()
			return nil
		}
		return good
	}},
	{name: "refuses the gap with exception 1", fields: gap, do: inGap(exception(1)), manner: "illegal function"},
	{name: "refuses the gap with exception 2", fields: gap, do: inGap(exception(2)), manner: "illegal data address"},
	{name: "refuses the gap with exception 3", fields: gap, do: inGap(exception(3)), manner: "illegal data value"},
	{name: "refuses the gap with exception 4", fields: gap, do: inGap(exception(4)), manner: "server device failure"},
	{name: "is silent at the gap", fields: gap, do: inGap(silence), lost: 1, manner: "no answer within"},
	{name: "gateway gives up at the gap", fields: gap, do: inGap(exception(11)), lost: 1, manner: "gateway target device"},
	{name: "closes at the gap", kinds: network, fields: gap, do: inGap(hangingUp), lost: 1, manner: "connection ended"},
	{name: "answers too little at the gap", fields: gap, do: inGap(short), lost: 1, manner: "bytes of registers"},
	{name: "answers the gap with half a frame", fields: gap, do: inGap(half), lost: 1, manner: "cut short"},
	{name: "answers the gap and is silent then", fields: gap, do: poisoned, lost: 8, manner: "no answer within"},
	{name: "sends more than the answer", do: func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte { return append(good, 0x55, 0xaa) }},
	{name: "takes four registers at most", do: over(4, exception(3)), manner: "illegal data value"},
	{name: "takes two registers at most", do: over(2, exception(2)), manner: "illegal data address"},
	{name: "is silent over four registers", do: over(4, silence), lost: 1, manner: "no answer within"},
	{name: "refuses the set-point", fields: point(6), do: touching(6, exception(2)), manner: "illegal data address", degraded: "set_point: "},
	{name: "refuses a set-point far away", fields: point(60), do: touching(60, exception(2)), degraded: "illegal data address"},
	{name: "is silent at the set-point", fields: point(6), do: touching(6, silence), lost: 1, manner: "no answer within", degraded: "no answer within"},
	{name: "is silent at a set-point far away", fields: point(60), do: touching(60, silence), degraded: "no answer within"},
	{name: "has no set-point fitted", fields: point(6), do: register(6, 0x7fc0), degraded: "0x7FC0"},
	{name: "has a set-point out of bounds", fields: point(6), do: register(6, 0x7000), degraded: "above current_max"},
	{name: "has a set-point below zero", fields: point(6), do: register(6, 0xc66a), degraded: "below 0"},
	{name: "refuses the switches", fields: switchAt(24), do: touching(24, exception(2)), degraded: "manual: "},
	{name: "leaves odd reads unanswered", kinds: serials, do: when(func(q, _ int) bool { return q%2 == 1 }, silence)},
	{name: "answers the whole block alone", kinds: serials, do: when(func(q, _ int) bool { return q != 6 }, silence), lost: maxProbes},
	{name: "has a 0x00 before each frame", kinds: serials, do: before(func([]byte) []byte { return []byte{0} }), manner: "bytes that make no frame"},
	{name: "echoes the request", kinds: serials, do: before(slices.Clone[[]byte]), manner: "an echo of the request"},
	{name: "shares the line with unit 9", kinds: serials, do: before(func([]byte) []byte {
		return withCRC([]byte{9, 3, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	}), manner: "a stray frame of unit id 9"},
	{name: "shares the line with another master", kinds: serials, do: before(func(request []byte) []byte {
		return append(withCRC([]byte{request[0], 3, 0, 9, 0, 4}), withCRC(append([]byte{request[0], 3, 8}, make([]byte, 8)...))...)
	}), manner: "another master"},
	{name: "begins an answer twice", kinds: serials, do: func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte {
		return append(slices.Clone(good[:7]), good...)
	}, manner: "bytes that make no frame"},
	{name: "answers with unit 0", kinds: []string{schemeTCP}, do: func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte {
		good[6] = 0
		return good
	}, manner: "answers have unit 0 where 7 is asked"},
	{name: "answers each request twice", kinds: []string{schemeTCP}, do: func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte {
		return append(good, good...)
	}, manner: "more than the answer comes"},
	{name: "answers again a moment later", kinds: []string{schemeTCP}, do: func(_ *device, conn io.ReadWriteCloser, _, good []byte) []byte {
		again := slices.Clone(good)
		time.AfterFunc(20*time.Millisecond, func() { _, _ = conn.Write(again) })
		return good
	}, manner: "an answer to an earlier request"},
	{name: "answers the request before first", kinds: []string{schemeTCP}, do: func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte {
		earlier := slices.Clone(good)
		binary.BigEndian.PutUint16(earlier, binary.BigEndian.Uint16(good)-1)
		return append(earlier, good...)
	}, manner: "an answer to an earlier request"},
}

var (
	network = []string{schemeTCP, schemeRTUTCP}
	serials = []string{schemeRTUTCP, schemeSerial}
)

// Under virtual time, every device over either framing.
func TestDeviceBehaviours(t *testing.T) {
	for _, kind := range network {
		for _, b := range behaviours {
			if len(b.kinds) > 0 && !slices.Contains(b.kinds, kind) {
				continue
			}
			t.Run(kind+"/"+b.name, func(t *testing.T) { synctest.Test(t, b.inBubble(kind)) })
		}
	}
}

func (b behaviour) inBubble(kind string) func(*testing.T) {
	return func(t *testing.T) {
		d, m := distant(kind)
		if b.fields != nil {
			b.fields(m)
		}
		d.play(1<<30, b.do)
		const polls = 40
		samples, reports := inBubble(t, d, map[string]config.Meter{"main": m}, polls*m.Period-1)
		lost := 0
		for i, r := range reports {
			if r.Err != nil {
				if lost++; lost > b.lost || i > polls/2 {
					t.Fatalf("poll %d: %v", i, r.Err)
				}
			}
		}
		if want := polls - lost; len(samples) != want || len(reports) != polls {
			t.Errorf("%d samples of %d polls, want %d", len(samples), len(reports), want)
		}
		for _, s := range samples {
			if s.Missing != "" {
				t.Errorf("missing: %s", s.Missing)
			}
			d.checkSample(t, s)
		}
		b.checkQuirks(t, reports[len(reports)-1])
	}
}

// checkQuirks checks that the report names what is unusual.
func (b behaviour) checkQuirks(t *testing.T, r Report) {
	t.Helper()
	if !strings.Contains(strings.Join(r.Quirks, "\n"), b.manner) {
		t.Errorf("manners %q do not say %q", r.Quirks, b.manner)
	}
	if got := strings.Join(r.Degraded, "\n"); !strings.Contains(got, b.degraded) || b.degraded == "" && got != "" {
		t.Errorf("degraded %q, want %q", got, b.degraded)
	}
}

// Over real sockets and lines, the devices that are peculiar to them.
func TestDeviceBehavioursForReal(t *testing.T) {
	for _, kind := range network {
		testBehaviours(t, kind, networkDevice)
	}
}

func testBehaviours(t *testing.T, kind string, start func(*testing.T, string) (*device, config.Meter)) {
	for _, b := range behaviours {
		if !slices.Contains(b.kinds, kind) {
			continue
		}
		t.Run(kind+"/"+b.name, func(t *testing.T) {
			t.Parallel()
			d, m := start(t, kind)
			if b.fields != nil {
				b.fields(m)
			}
			d.play(1<<30, b.do)
			p := watch(t, map[string]config.Meter{"main": m})
			b.checkQuirks(t, p.goodAfter(t, d, b.lost, 5))
		})
	}
}

// networkDevice is a device of unit 7 and the meter that reads it.
func networkDevice(t *testing.T, kind string) (*device, config.Meter) {
	d := newDevice(t, kind)
	return d, meter(d.url(), 7)
}

// goodAfter wants good polls and their samples, after so many that may fail.
func (p *polling) goodAfter(t *testing.T, d *device, lost, good int) (last Report) {
	t.Helper()
	for n := 0; n < good; {
		last = p.report(t)
		if last.Err != nil {
			if lost--; lost < 0 {
				t.Fatalf("poll %d: %v", last.Counters.Polls, last.Err)
			}
			continue
		}
		n++
		select {
		case s := <-p.samples:
			if s.Missing != "" {
				t.Fatalf("poll %d: missing: %s", last.Counters.Polls, s.Missing)
			}
			d.checkSample(t, s)
		case <-time.After(20 * time.Second):
			t.Fatal("a good poll and no sample")
		}
	}
	return last
}

// The ways of tricks, from a request's place in the registers.

func span(d *device, request []byte) (address, quantity int) {
	pdu := d.pdu(request)
	return int(binary.BigEndian.Uint16(pdu[1:])), int(binary.BigEndian.Uint16(pdu[3:]))
}

// when does the trick to requests of which a test of quantity and address holds.
func when(holds func(quantity, address int) bool, do trick) trick {
	return func(d *device, conn io.ReadWriteCloser, request, good []byte) []byte {
		if address, quantity := span(d, request); holds(quantity, address) {
			return do(d, conn, request, good)
		}
		return good
	}
}

func over(most int, do trick) trick { return when(func(q, _ int) bool { return q > most }, do) }
func touching(register int, do trick) trick {
	return when(func(q, a int) bool { return a <= register && register < a+q }, do)
}

// inGap is for a meter with the fields of gap.
func inGap(do trick) trick { return touching(7, do) }

func gap(m config.Meter) { m.Fields[config.FieldCurrentC] = float32At(10) }
func farApart(m config.Meter) {
	m.Fields[config.FieldCurrentC] = float32At(400)
}

func point(at int) func(config.Meter) {
	return func(m config.Meter) { m.Fields[config.FieldSetPoint] = float32At(at) }
}

func switchAt(at int) func(config.Meter) {
	return func(m config.Meter) {
		m.Fields[config.FieldManual] = config.Field{Address: at, Function: 3, Type: "bit", Order: "ABCD"}
	}
}

func silence(*device, io.ReadWriteCloser, []byte, []byte) []byte { return nil }

func exception(code byte) trick {
	return func(d *device, _ io.ReadWriteCloser, request, _ []byte) []byte {
		return d.frame(request, []byte{0x83, code})
	}
}

func closing(_ *device, conn io.ReadWriteCloser, _, good []byte) []byte {
	_, _ = conn.Write(good)
	conn.Close()
	return nil
}

func hangingUp(_ *device, conn io.ReadWriteCloser, _, _ []byte) []byte {
	conn.Close()
	return nil
}

func short(d *device, _ io.ReadWriteCloser, request, _ []byte) []byte {
	return d.frame(request, []byte{3, 2, 1, 2})
}

func half(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte { return good[:len(good)/2] }

// poisoned is a device that answers a read over the gap, and says nothing to the
// request after it.
func poisoned(d *device, _ io.ReadWriteCloser, request, good []byte) []byte {
	address, quantity := span(d, request)
	if d.late != nil {
		d.late = nil
		return nil
	}
	if address <= 7 && 7 < address+quantity {
		d.late = []byte{}
	}
	return good
}

// before puts something in front of each answer.
func before(what func(request []byte) []byte) trick {
	return func(_ *device, _ io.ReadWriteCloser, request, good []byte) []byte {
		return append(what(request), good...)
	}
}

// register gives one register a value.
func register(at int, value uint16) trick {
	return func(d *device, _ io.ReadWriteCloser, request, good []byte) []byte {
		address, quantity := span(d, request)
		if at < address || at >= address+quantity {
			return good
		}
		body := slices.Clone(good[1 : len(good)-2])
		if d.kind == schemeTCP {
			body = slices.Clone(good[7:])
		}
		binary.BigEndian.PutUint16(body[2+2*(at-address):], value)
		return d.frame(request, body)
	}
}

// An outage, however long, is not taken for a device that wants its reads divided.
func TestOutageTeachesNothing(t *testing.T) {
	for _, kind := range network {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, m := distant(kind)
				m.Fields[config.FieldSetPoint] = float32At(9)
				d.play(200, silence)
				_, reports := inBubble(t, d, map[string]config.Meter{"main": m}, 5*time.Minute)
				good := 0
				for i := len(reports) - 1; reports[i].Err == nil; i-- {
					good++
				}
				if good < 50 {
					t.Fatalf("%d good polls at the end", good)
				}
				d.mu.Lock()
				defer d.mu.Unlock()
				recent := d.asked[len(d.asked)-20:]
				if took := recent[19].Sub(recent[0]); took != 19*m.Period {
					t.Errorf("20 requests in %v, want one a poll; manners %q", took, reports[len(reports)-1].Quirks)
				}
			})
		})
	}
}

// A meter without currents that answers nothing has failed, also while one of its
// quantities is left alone.
func TestMeterOfOptionalQuantitiesDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, main := distant(schemeTCP)
		plc := halfSecond("tcp://127.0.0.1:503")
		plc.Unit = 2
		plc.Fields = map[string]config.Field{config.FieldSetPoint: float32At(0)}
		switchAt(60)(plc)
		d.play(1<<30, touching(60, exception(2)))
		died := time.Now().Add(20 * time.Second)
		time.AfterFunc(20*time.Second, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.dead[2] = true
		})
		_, reports := inBubble(t, d, map[string]config.Meter{"main": main, "plc": plc}, time.Minute)
		after := 0
		for _, r := range reports {
			if r.Meter != "plc" {
				continue
			}
			if dead := r.Time.After(died); dead != (r.Err != nil) {
				t.Fatalf("%v after its death: %v, degraded %q", r.Time.Sub(died), r.Err, r.Degraded)
			} else if dead {
				after++
			}
		}
		if after < 20 {
			t.Errorf("%d reports after its death", after)
		}
	})
}

// distant is a device without sockets, for virtual time, and the meter that reads it.
func distant(kind string) (*memory, config.Meter) {
	d := newMemory(noDelay)
	d.kind = kind
	m := halfSecond(kind + "://127.0.0.1:502")
	m.Unit = 7
	return d, m
}

package modbus

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"meltwatch/config"
	"meltwatch/drivers"
)

// wrong is everything that a device, a gateway or a wire has been seen to do to
// one reply. Each must cost one poll and no more, and never yield a value.
var wrong = []struct {
	name  string
	kinds []string // all when empty
	do    trick
	want  string // in the error
}{
	{
		name: "reply cut short",
		do:   func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte { return good[:len(good)-3] },
		want: "cut short",
	},
	{
		name: "no reply",
		do:   func(*device, io.ReadWriteCloser, []byte, []byte) []byte { return nil },
		want: "timeout",
	},
	{
		name:  "transaction number of the request before",
		kinds: []string{schemeTCP},
		do: func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte {
			good[1]--
			return good
		},
		want: "transaction number",
	},
	{
		name:  "protocol number not zero",
		kinds: []string{schemeTCP},
		do: func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte {
			good[3] = 1
			return good
		},
		want: "protocol id",
	},
	{
		name:  "stated length of nothing",
		kinds: []string{schemeTCP},
		do: func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte {
			good[4], good[5] = 0, 0
			return good
		},
		want: "stated length",
	},
	{
		name:  "stated length of 65535",
		kinds: []string{schemeTCP},
		do: func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte {
			good[4], good[5] = 0xff, 0xff
			return good
		},
		want: "stated length",
	},
	{
		name: "another unit's reply",
		do: func(d *device, _ io.ReadWriteCloser, request, good []byte) []byte {
			other := bytes.Clone(request)
			if d.kind == schemeTCP {
				other[6]++
				return d.frame(other, good[7:])
			}
			other[0]++
			return d.frame(other, good[1:len(good)-2])
		},
		want: "id",
	},
	{
		name: "another function's reply",
		do: func(d *device, _ io.ReadWriteCloser, request, _ []byte) []byte {
			return d.frame(request, append([]byte{4, 12}, make([]byte, 12)...))
		},
		want: "function '4'",
	},
	{
		name: "fewer registers than asked",
		do: func(d *device, _ io.ReadWriteCloser, request, _ []byte) []byte {
			return d.frame(request, []byte{3, 2, 1, 2})
		},
		want: "2 bytes of registers",
	},
	{
		name: "byte count that is not the bytes'",
		do: func(d *device, _ io.ReadWriteCloser, request, _ []byte) []byte {
			return d.frame(request, append([]byte{3, 10}, make([]byte, 12)...))
		},
		want: "read 6 registers",
	},
	{
		name:  "checksum wrong",
		kinds: []string{schemeRTUTCP, schemeSerial},
		do: func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte {
			good[5] ^= 1
			return good
		},
		want: "crc",
	},
	{
		name: "refusal: device busy",
		do: func(d *device, _ io.ReadWriteCloser, request, _ []byte) []byte {
			return d.frame(request, []byte{0x83, 6})
		},
		want: "server device busy",
	},
	{
		// The gateway sends the late reply to the client that is connected by then: it
		// arrives in front of the next answer.
		name:  "reply late, in front of the next",
		kinds: []string{schemeRTUTCP, schemeSerial},
		do: func(d *device, _ io.ReadWriteCloser, _, good []byte) []byte {
			d.late = good
			return nil
		},
		want: "timeout",
	},
	{
		name: "reply late, during the next poll",
		do: func(_ *device, conn io.ReadWriteCloser, _, good []byte) []byte {
			time.AfterFunc(period+10*time.Millisecond, func() { _, _ = conn.Write(good) })
			return nil
		},
		want: "timeout",
	},
}

// TestOneWrongReply holds the promise of the package comment: a wrong reply is
// an error, the next poll is right.
func TestOneWrongReply(t *testing.T) {
	for _, kind := range []string{schemeTCP, schemeRTUTCP} {
		for _, c := range wrong {
			if len(c.kinds) > 0 && !slices.Contains(c.kinds, kind) {
				continue
			}
			t.Run(kind+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				d := newDevice(t, kind)
				oneWrongReply(t, d, meter(d.url(), 7), c.do, c.want)
			})
		}
	}
}

func oneWrongReply(t *testing.T, d *device, m config.Meter, do trick, want string) {
	t.Helper()
	p := watch(t, map[string]config.Meter{"main": m})
	p.good(t, d)
	d.play(1, do)
	fault := p.report(t)
	if fault.Err == nil {
		t.Fatal("the wrong reply was not noticed")
	}
	if !strings.Contains(fault.Err.Error(), want) {
		t.Errorf("error %q does not say %q", fault.Err, want)
	}
	p.good(t, d)
	p.good(t, d)
}

// polling is a source under way, and what it has said so far.
type polling struct {
	reports chan Report
	samples chan drivers.Sample
}

func watch(t *testing.T, meters map[string]config.Meter) *polling {
	t.Helper()
	p := &polling{reports: make(chan Report, 1000), samples: make(chan drivers.Sample, 1000)}
	source, err := New(meters, quiet(), func(r Report) { p.reports <- r })
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- source.Run(ctx, func(s drivers.Sample) { p.samples <- s }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return p
}

func (p *polling) report(t *testing.T) Report {
	t.Helper()
	select {
	case r := <-p.reports:
		return r
	case <-time.After(20 * time.Second):
		t.Fatal("no report")
		return Report{}
	}
}

// good takes the next report and sample, which must be right.
func (p *polling) good(t *testing.T, d *device) {
	t.Helper()
	if r := p.report(t); r.Err != nil {
		t.Fatalf("poll %d of %s: %v", r.Counters.Polls, r.Meter, r.Err)
	}
	select {
	case s := <-p.samples:
		d.checkSample(t, s)
	case <-time.After(20 * time.Second):
		t.Fatal("a good poll and no sample")
	}
}

// recover waits for the first good poll and returns how many bad ones came
// before it.
func (p *polling) recover(t *testing.T) (bad int, at time.Time) {
	t.Helper()
	for {
		r := p.report(t)
		if r.Err == nil {
			return bad, r.Time
		}
		bad++
	}
}

func TestDeviceReboots(t *testing.T) {
	t.Parallel()
	d := newDevice(t, schemeTCP)
	m := meter(d.url(), 1)
	m.Period, m.Timeout = 200*time.Millisecond, 150*time.Millisecond
	p := watch(t, map[string]config.Meter{"main": m})
	p.good(t, d)
	d.shut()
	time.Sleep(3 * time.Second)
	up := time.Now()
	d.listen(t, d.listener.Addr().String())
	bad, at := p.recover(t)
	t.Logf("%d bad polls in 3 s, right again %v after the device was back", bad, at.Sub(up).Round(time.Millisecond))
	if bad == 0 || bad > 12 {
		t.Errorf("%d bad polls, want a growing wait between a few", bad)
	}
	if after := at.Sub(up); after > 10*time.Second {
		t.Errorf("right again only after %v", after)
	}
}

func TestDeviceSilentForLong(t *testing.T) {
	for _, kind := range []string{schemeTCP, schemeRTUTCP} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := newDevice(t, kind)
			p := watch(t, map[string]config.Meter{"main": meter(d.url(), 1)})
			p.good(t, d)
			d.play(6, func(*device, io.ReadWriteCloser, []byte, []byte) []byte { return nil })
			for range 6 {
				if r := p.report(t); r.Err == nil {
					t.Fatal("a silent device gave a value")
				}
			}
			p.good(t, d)
		})
	}
}

// A device that is not there delays nobody on another connection.
func TestDeadMeterOnAnotherConnection(t *testing.T) {
	t.Parallel()
	d, dead := newDevice(t, schemeTCP), newDevice(t, schemeTCP)
	dead.dead[1] = true
	other := meter(dead.url(), 1)
	other.Fields = map[string]config.Field{config.FieldSetPoint: float32At(8)}
	p := watch(t, map[string]config.Meter{"main": meter(d.url(), 1), "plc": other})
	var seen Report
	for range 12 {
		if r := p.report(t); r.Meter == "main" {
			seen = r
		}
	}
	if seen.Counters.Errors > 0 || seen.Counters.Missed > 0 {
		t.Errorf("the dead meter cost the other %+v", seen.Counters)
	}
}

// On a shared line a dead unit costs the others at most one timeout for each
// wait, and the waits grow.
func TestDeadUnitOnSharedLine(t *testing.T) {
	t.Parallel()
	d := newDevice(t, schemeRTUTCP)
	d.dead[2] = true
	other := meter(d.url(), 2)
	other.Fields = map[string]config.Field{config.FieldSetPoint: float32At(8)}
	p := watch(t, map[string]config.Meter{"main": meter(d.url(), 1), "plc": other})
	polls := map[string]Counters{}
	for polls["main"].Polls < 20 {
		r := p.report(t)
		polls[r.Meter] = r.Counters
		if r.Meter == "main" && r.Err != nil {
			t.Errorf("the dead unit spoiled a poll of the other: %v", r.Err)
		}
	}
	if dead := polls["plc"]; dead.Polls > 8 {
		t.Errorf("the dead unit was asked %d times in 10 s", dead.Polls)
	}
	if main := polls["main"]; main.Missed > polls["plc"].Polls {
		t.Errorf("%d ticks missed, for %d timeouts of the dead unit", main.Missed, polls["plc"].Polls)
	}
}

// A device that refuses to read registers it does not define gets the fields
// one by one.
func TestDeviceRefusesHoles(t *testing.T) {
	t.Parallel()
	d := newDevice(t, schemeTCP)
	m := meter(d.url(), 1)
	m.Fields[config.FieldCurrentC] = float32At(9)
	d.play(1, func(d *device, _ io.ReadWriteCloser, request, _ []byte) []byte {
		if quantity := binary.BigEndian.Uint16(d.pdu(request)[3:]); quantity != 11 {
			t.Errorf("first request for %d registers, want one over the hole", quantity)
		}
		return d.frame(request, []byte{0x83, 2})
	})
	p := watch(t, map[string]config.Meter{"main": m})
	p.good(t, d)
	p.good(t, d)
}

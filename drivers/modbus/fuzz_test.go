package modbus

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"meltwatch/config"
)

// mostRegisters is the most that one read may ask for.
const mostRegisters = 125

// canned is a stream whose other end has said everything already.
type canned struct{ io.Reader }

func (canned) Write(b []byte) (int, error) { return len(b), nil }
func (canned) Close() error                { return nil }
func (canned) SetDeadline(time.Time) error { return nil }
func cannedLine(kind string, said []byte) *line {
	a := address{scheme: kind}
	return &line{address: a, framing: a.framing(), stream: canned{bytes.NewReader(said)}, release: func() bool { return true }}
}

// Whatever comes off the wire, a read ends, panics never, and yields registers
// only from a frame that is a true reply to its request.
func FuzzReply(f *testing.F) {
	d := &device{kind: schemeTCP}
	f.Add(true, uint16(2), d.frame([]byte{0, 1, 0, 0, 0, 6, 7, 3, 0, 0, 0, 2}, []byte{3, 4, 0x46, 0x6a, 0x60, 0}))
	f.Add(true, uint16(2), []byte{0, 1, 0, 0, 0, 3, 7, 0x83, 2})
	f.Add(false, uint16(2), withCRC([]byte{7, 3, 4, 0x46, 0x6a, 0x60, 0}))
	f.Add(false, uint16(1), withCRC([]byte{7, 0x83, 2}))
	f.Add(false, uint16(125), []byte{7, 3, 255})
	f.Fuzz(func(t *testing.T, tcp bool, quantity uint16, said []byte) {
		kind := schemeRTUTCP
		if tcp {
			kind = schemeTCP
		}
		r := request{Function: 3, Quantity: quantity%mostRegisters + 1}
		got, err := cannedLine(kind, said).exchange(t.Context(), 7, time.Second, r)
		if err != nil {
			exceptionCode(err)
			return
		}
		if len(got.registers) != 2*int(r.Quantity) {
			t.Errorf("%d bytes for %d registers", len(got.registers), r.Quantity)
		}
		if !bytes.Contains(said, got.registers) {
			t.Error("registers that nobody sent")
		}
	})
}

// crumbs hands on a few bytes at a time, as a serial line does.
type crumbs struct {
	io.Reader
	most int
}

func (c crumbs) Read(b []byte) (int, error) { return c.Reader.Read(b[:min(len(b), c.most)]) }

// Whatever stands before and after a reply on an RTU line, and however it is cut,
// the reply is found, and only what was sent with a valid checksum is believed.
func FuzzRTUAmongGarbage(f *testing.F) {
	f.Add([]byte{0}, []byte{}, byte(1), false)
	f.Add([]byte{7, 3, 0, 0, 0, 6, 0xc5, 0xae}, []byte{0x55}, byte(8), false)
	f.Add(withCRC([]byte{9, 3, 2, 1, 2}), withCRC([]byte{7, 3, 2, 1, 2}), byte(255), true)
	f.Add([]byte{7, 3, 12, 7, 3, 12, 7}, []byte{7, 0x83}, byte(3), false)
	f.Fuzz(func(t *testing.T, front, back []byte, most byte, refusal bool) {
		front = front[:min(len(front), maxReceived-300)]
		body := []byte{7, 3, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
		if refusal {
			body = []byte{7, 0x83, 2}
		}
		frame := withCRC(slices.Clone(body))
		line := slices.Concat(front, frame, back)
		l := cannedLine(schemeRTUTCP, line)
		l.stream = canned{crumbs{bytes.NewReader(line), int(most)%250 + 1}}
		got, err := l.exchange(t.Context(), 7, time.Second, request{Function: 3, Quantity: 6})
		code, refused := exceptionCode(err)
		if err != nil && !refused {
			t.Fatalf("the reply was not found: %v", err)
		}
		if bytes.Equal(got.registers, body[3:]) || refused && refusal && code == 2 {
			return
		}
		// Then another reply came first, and it must be a whole one.
		if refused && !bytes.Contains(line, withCRC([]byte{7, 0x83, code})) {
			t.Errorf("exception %d was not sent", code)
		}
		if !refused && !bytes.Contains(line, withCRC(append([]byte{7, 3, 12}, got.registers...))) {
			t.Errorf("registers % x were not sent", got.registers)
		}
	})
}

// The worst a line can bring for one reply costs little: work is linear in what
// came, and what came is bounded.
func TestGarbageCostsLittle(t *testing.T) {
	for name, unit := range map[string][]byte{
		"beginnings of replies":  {7, 3, 12},
		"beginnings of refusals": {7, 0x83},
		"beginnings of frames":   {7, 3, 250, 9, 3, 250},
	} {
		began := time.Now()
		const exchanges = 20
		for range exchanges {
			l := cannedLine(schemeRTUTCP, nil)
			l.stream = canned{crumbs{bytes.NewReader(bytes.Repeat(unit, 1<<16)), 1}}
			if _, err := l.exchange(t.Context(), 7, time.Second, request{Function: 3, Quantity: 6}); err == nil {
				t.Fatal("a reply was made of it")
			}
		}
		if each := time.Since(began) / exchanges; each > 50*time.Millisecond {
			t.Errorf("%s: %v for one reply", name, each)
		}
	}
}

// Any set of fields that passes the check gives a plan that reads each once,
// within the protocol's bounds, and decodes without panicking.
func FuzzPlan(f *testing.F) {
	f.Add(0, []byte{0, 0, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0}, []byte{1, 2, 3, 4})
	f.Add(1, []byte{255, 255, 1, 1, 0, 130, 5, 0}, []byte{0x7f, 0xc0})
	types := []string{"float32", "int16", "uint16", "int32", "uint32", "bit"}
	f.Fuzz(func(t *testing.T, base int, layout, noise []byte) {
		m := meter("tcp://127.0.0.1:502", 1)
		m.Base = base
		fields := map[string]config.Field{}
		for i := 0; i+4 <= len(layout); i += 4 {
			fields[fmt.Sprint(i)] = config.Field{
				Address:  int(layout[i])<<8 | int(layout[i+1]),
				Type:     types[int(layout[i+2])%len(types)],
				Function: 3 + int(layout[i+3]&1),
				Order:    config.ByteOrders[layout[i+3]>>1&3],
				Scale:    1,
			}
		}
		m.Fields = fields
		for _, f := range placeFields(m) {
			if f.register < 0 || f.end() > 0x10000 {
				return // the configuration refuses it
			}
		}
		for n := newPlan(m); ; {
			checkRequests(t, m, n.leaves(), noise)
			checkProbes(t, n.leaves())
			if !divideFirst(n) {
				return
			}
		}
	})
}

// checkProbes wants requests whose answers cannot be mistaken for those of the plan.
func checkProbes(t *testing.T, plan []request) {
	if len(plan) == 0 {
		return
	}
	for _, probe := range probesFor(plan, mostRegisters) {
		if probe.Quantity < 1 || int(probe.Address)+int(probe.Quantity) > 0x10000 {
			t.Errorf("probe of %d registers from %d", probe.Quantity, probe.Address)
		}
		if slices.ContainsFunc(plan, func(r request) bool { return r.Quantity == probe.Quantity }) {
			t.Errorf("a probe of %d registers has the length of a read", probe.Quantity)
		}
	}
}

func checkRequests(t *testing.T, m config.Meter, plan []request, noise []byte) {
	seen := map[string]bool{}
	for _, r := range plan {
		if r.Quantity < 1 || r.Quantity > mostRegisters || int(r.Address)+int(r.Quantity) > 0x10000 {
			t.Errorf("request for %d registers from %d", r.Quantity, r.Address)
		}
		for _, f := range r.fields {
			if f.register < int(r.Address) || f.end() > int(r.Address)+int(r.Quantity) || byte(f.field.Function) != r.Function {
				t.Errorf("%+v is not within its request %d+%d", f, r.Address, r.Quantity)
			}
			if seen[f.quantity] {
				t.Errorf("%s is read twice", f.quantity)
			}
			seen[f.quantity] = true
		}
		wire := make([]byte, 2*int(r.Quantity))
		copy(wire, noise)
		got := newReading()
		if err := got.decode(r, reply{registers: wire}); err != nil {
			t.Error(err)
		}
		if len(got.values)+len(got.lost) != len(r.fields) {
			t.Errorf("%d values and %d reasons for %d fields", len(got.values), len(got.lost), len(r.fields))
		}
	}
	if len(seen) != len(m.Fields) {
		t.Errorf("%d fields are read of %d", len(seen), len(m.Fields))
	}
}

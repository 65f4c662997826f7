package modbus

import (
	"context"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/retry"
)

// prompt is a stream whose other end answers each read of holding registers at once, and
// allocates nothing.
type prompt struct {
	numbered bool
	values   []float32
	reply    [256]byte
	waiting  []byte
}

func (s *prompt) Write(adu []byte) (int, error) {
	pdu, out := adu[1:], s.reply[:1]
	s.reply[0] = adu[0]
	if s.numbered {
		pdu, out = adu[tcpHeader:], s.reply[:tcpHeader]
		copy(out, adu[:tcpHeader])
	}
	first, quantity := binary.BigEndian.Uint16(pdu[1:]), binary.BigEndian.Uint16(pdu[3:])
	out = append(out, pdu[0], byte(2*quantity))
	for i := first / 2; i < (first+quantity)/2; i++ {
		out = binary.BigEndian.AppendUint32(out, math.Float32bits(s.values[i]))
	}
	if s.numbered {
		binary.BigEndian.PutUint16(out[4:], uint16(len(out)-tcpHeader+1))
	} else {
		out = binary.LittleEndian.AppendUint16(out, checksum(out))
	}
	s.waiting = out
	return len(adu), nil
}

func (s *prompt) Read(into []byte) (int, error) {
	n := copy(into, s.waiting)
	s.waiting = s.waiting[n:]
	return n, nil
}

func (s *prompt) SetDeadline(time.Time) error { return nil }
func (s *prompt) Close() error                { return nil }

// promptPoller polls a meter with a set-point and switches over a prompt stream.
func promptPoller(t *testing.T, framing framing, emit func(drivers.Sample)) (*poller, *unit) {
	t.Helper()
	m := meter(anywhere, 1)
	m.Fields[config.FieldSetPoint] = float32At(6)
	feeding := float32At(8)
	m.Fields[config.FieldFeeding] = feeding
	s, err := New(map[string]config.Meter{"main": m}, quiet(), func(Report) {})
	if err != nil {
		t.Fatal(err)
	}
	lines, err := s.pollers(s.delivery(emit))
	if err != nil {
		t.Fatal(err)
	}
	p := lines[m.URL]
	u := p.units[0]
	u.faults = &retry.Faults{Log: quiet()}
	p.line.framing = framing
	p.line.dial = func(context.Context, address) (stream, error) {
		return &prompt{numbered: framing.numbered, values: []float32{15000, 15100, 14900, 15000, 1}}, nil
	}
	if err := p.line.open(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.line.close)
	u.replyPending = false
	return p, u
}

// From the bytes of the reply to the sample, a poll allocates nothing. The request is
// encoded by the library, which allocates its frame.
func TestPollAllocatesNothingFromReplyToSample(t *testing.T) {
	for name, framing := range map[string]framing{"TCP": tcpFraming(), "RTU": rtuFraming()} {
		t.Run(name, func(t *testing.T) {
			var last drivers.Sample
			p, u := promptPoller(t, framing, func(s drivers.Sample) { last = s })
			ctx := t.Context()
			request := u.plan.leaves()[0]
			frame := testing.AllocsPerRun(1000, func() {
				if _, err := p.line.frame(1, request); err != nil {
					t.Fatal(err)
				}
			})
			whole := testing.AllocsPerRun(1000, func() {
				if err := p.attempt(ctx, u); err != nil {
					t.Fatal(err)
				}
				p.record(u, nil)
				p.deliver(u, &u.got)
			})
			if whole > frame {
				t.Errorf("%v allocations a poll, of which %v are the request's", whole, frame)
			}
			if want := [drivers.Phases]float64{15000, 15100, 14900}; last.Current != want || last.SetPoint != 15000 || last.Bits != drivers.Feeding || last.Next.IsZero() {
				t.Errorf("sample %+v", last)
			}
		})
	}
}

// A sample tells when the next poll is due, and no later sample is earlier than that.
func TestSampleTellsWhenTheNextOneCanCome(t *testing.T) {
	p, u := promptPoller(t, tcpFraming(), func(drivers.Sample) {})
	_ = p
	u.tick.start = time.Now()
	u.tick.n = 7
	if got := u.tick.after().Sub(u.tick.start); got != 8*u.meter.Period {
		t.Errorf("the next poll is due after %s", got)
	}
}

package modbus

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"meltwatch/config"
)

// Scanner makes single reads of a device whose registers are not known yet: one at a
// time, at a bounded pace. One goroutine uses it.
type Scanner struct {
	line *line
	// pace is the least time between two requests.
	pace time.Duration
	next time.Time
	// pending is the unit whose reply to an earlier request may still arrive, −1 for none.
	pending int
}

// Query is one read.
type Query struct {
	Unit int
	// Function is 1 (coils), 2 (discrete inputs), 3 (holding registers) or 4 (input
	// registers).
	Function int
	// Address is the first one as it goes over the wire, from 0.
	Address int
	// Quantity is how many are read: 1–125 registers, or 1–2000 coils or inputs.
	Quantity int
}

// NewScanner prepares a line with the meter's url and serial settings, which the
// configuration has checked. It opens nothing yet.
func NewScanner(m config.Meter, pace time.Duration) (*Scanner, error) {
	l, err := newLine(m)
	if err != nil {
		return nil, err
	}
	return &Scanner{line: l, pace: pace, pending: -1}, nil
}

// Open connects, so that a device that cannot be reached is told from one that does not
// answer. The error is Unreachable.
func (s *Scanner) Open(ctx context.Context, timeout time.Duration) error {
	return s.line.open(ctx, timeout)
}

// Close has no effect on a closed line.
func (s *Scanner) Close() { s.line.close() }

// Read waits for its turn, makes one read and returns the reply's data as it came over
// the wire, and how long it took. ExceptionCode tells a refusal from other errors.
func (s *Scanner) Read(ctx context.Context, timeout time.Duration, q Query) (data []byte, took time.Duration, err error) {
	if q.Function < 1 || q.Function > 4 {
		return nil, 0, fmt.Errorf("function %d does not read: want 1 to 4", q.Function)
	}
	if err := s.clear(ctx, timeout, q.Unit); err != nil {
		return nil, 0, err
	}
	if err := sleepUntil(ctx, s.next); err != nil {
		return nil, 0, err
	}
	s.next = time.Now().Add(s.pace)
	got, err := s.line.read(ctx, byte(q.Unit), timeout, request{Function: byte(q.Function), Address: uint16(q.Address), Quantity: uint16(q.Quantity)})
	if err != nil && replyOutstanding(err) {
		s.pending = q.Unit
	}
	return bytes.Clone(got.registers), got.received.Sub(got.sent), err
}

// clear waits for a late reply, which on a line without transaction numbers could be
// taken for the next one. The unit number identifies that of another unit.
func (s *Scanner) clear(ctx context.Context, timeout time.Duration, unit int) error {
	if s.pending != unit {
		return nil
	}
	s.pending = -1
	if s.line.framing.numbered {
		return nil
	}
	return s.line.awaitSilence(ctx, timeout/2)
}

// Quirks lists unusual behaviour of the line that the driver has adapted to.
func (s *Scanner) Quirks() []string { return slices.Clone(s.line.quirks.known) }

// ExceptionCode is the exception by which a device or a gateway refused a read.
func ExceptionCode(err error) (code int, ok bool) {
	b, ok := exceptionCode(err)
	return int(b), ok
}

// Decode turns the registers of one field, as they came over the wire, into its value.
// The error says why they hold none: "not available", or a number that no meter gives.
func Decode(wire []byte, f config.Field) (float64, error) { return decodeField(wire, f) }

// Package drivers is the contract between the agent and its inputs: the furnace's
// three-phase current and the video of its shell.
//
// Units: currents are RMS amperes, pixels are 8-bit RGB. All times are the
// host's and carry Go's monotonic reading, so intervals survive a clock jump.
//
// Ownership: a Sample is a value. A Frame's Pixels belong to the receiver of
// the Frame; a driver never writes to them again.
package drivers

import (
	"context"
	"time"
)

// Phases is how many phases the furnace has: A, B and C, one per electrode.
const Phases = 3

// Bits are the switch positions that the PLC reports with the currents.
type Bits uint8

// The bits of a PLC packet that the agent uses.
const (
	Feeding Bits = 1 << iota // raw magnesite is being fed
	Exhaust                  // gas is being drawn off
	Manual                   // electrodes are moved by hand, not by the controller
)

// Sample is one reading of the three-phase current.
type Sample struct {
	// Time is the mid-point between request and reply.
	Time time.Time
	// Uncertainty is half the round trip: the true instant lies within
	// Time ± Uncertainty.
	Uncertainty time.Duration
	// Current is the RMS current of phases A, B, C in amperes. Always finite, and
	// zero where Missing is set.
	Current [Phases]float64
	// Missing is why the sample holds no currents: a phase is marked as not available,
	// or its value is impossible for a furnace. It names the phase, the raw value and
	// the reason. Empty for a valid sample.
	Missing string
	// SetPoint is the current set-point in amperes, 0 when the plant reports none.
	SetPoint float64
	// Bits are the switch positions; one that is not configured stays 0.
	Bits Bits
	// Next is the earliest instant that the next sample can have, the zero time if the
	// source does not know it.
	Next time.Time
}

// Frame is one picture of the furnace shell, already cropped and scaled.
type Frame struct {
	// Time is the instant the picture was taken: its presentation time mapped to
	// the host's clock by the lower envelope of the arrival delay.
	Time time.Time
	// Number counts frames since the camera was opened, from 1.
	Number uint64
	// Stream counts the openings of the camera, from 1. Each may lag behind the furnace
	// by a different time.
	Stream uint64
	// Burst is set if it is one of a few neighbours a second, because the pictures between
	// are not decoded.
	Burst bool
	// Width and Height are in pixels.
	Width, Height int
	// Pixels is row-major RGB, 3 × Width × Height bytes.
	Pixels []byte
}

// Status is the health of a sense.
type Status string

// The statuses of a sense.
const (
	// OK: values are recent and change as live ones do.
	OK Status = "ok"
	// Stale: no new value has arrived within the sense's limit.
	Stale Status = "stale"
	// Frozen: new values arrive but do not change.
	Frozen Status = "frozen"
	// Black: pictures arrive but are black (video only).
	Black Status = "black"
	// Invalid: values arrive, but too many are impossible for a furnace (current only).
	Invalid Status = "invalid"
	// Absent: the device is unreachable.
	Absent Status = "absent"
)

// Live reports whether decisions may use the sense.
func (s Status) Live() bool { return s == OK }

// Source is a device that yields values of type T until its context ends.
type Source[T any] interface {
	// Run delivers values to emit, one at a time and in time order, until ctx ends;
	// it then returns nil once everything it started has stopped. The source recovers
	// from faults of the device (close, wait, open again) and reports them through its
	// own observer; an error means that it could not start, for example because of an
	// invalid address. emit must not block for longer than the source's period.
	Run(ctx context.Context, emit func(T)) error
}

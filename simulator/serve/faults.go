package serve

import (
	"fmt"
	"slices"
	"time"
)

// MeterFault is a fault between the meter and its clients.
type MeterFault string

// The meter's faults.
const (
	MeterFine MeterFault = "none"
	// MeterLate answers every request lateBy after its arrival.
	MeterLate MeterFault = "late"
	// MeterTruncated sends only the first half of each reply.
	MeterTruncated MeterFault = "truncated"
	// MeterWrongID answers with another transaction's number.
	MeterWrongID MeterFault = "wrong-id"
	// MeterException answers with exception 4, server device failure.
	MeterException MeterFault = "exception"
	// MeterReset resets the connection at each request.
	MeterReset MeterFault = "reset"
	// MeterDown closes every connection and refuses new ones: rebooting, absent.
	MeterDown MeterFault = "down"
	// MeterSilent takes requests and never answers.
	MeterSilent MeterFault = "silent"
	// MeterStuck answers correctly, but the registers no longer change.
	MeterStuck MeterFault = "stuck"
	// MeterOff answers correctly, but the transducers have no supply: currents and
	// voltages read zero while the furnace works on.
	MeterOff MeterFault = "off"
)

// MeterFaults lists them, MeterFine first.
func MeterFaults() []MeterFault {
	return []MeterFault{MeterFine, MeterLate, MeterTruncated, MeterWrongID, MeterException,
		MeterReset, MeterDown, MeterSilent, MeterStuck, MeterOff}
}

// lateBy is the delay of MeterLate.
const lateBy = 3 * time.Second

// CameraFault is a fault between the camera and its viewers.
type CameraFault string

// The camera's faults.
const (
	CameraFine CameraFault = "none"
	// CameraFrozen encodes the same picture again and again while time advances. As
	// in a real camera it is encoded each time, so pixels may differ by rounding.
	CameraFrozen CameraFault = "frozen"
	// CameraStale keeps connections open and sends no more pictures.
	CameraStale CameraFault = "stale"
	// CameraBlack sends black pictures.
	CameraBlack CameraFault = "black"
	// CameraAbsent closes every connection and refuses new ones.
	CameraAbsent CameraFault = "absent"
)

// CameraFaults lists them, CameraFine first.
func CameraFaults() []CameraFault {
	return []CameraFault{CameraFine, CameraFrozen, CameraStale, CameraBlack, CameraAbsent}
}

// known returns an error for an unknown name, with the known names.
func known[F ~string](part string, name F, list []F) error {
	if slices.Contains(list, name) {
		return nil
	}
	return fmt.Errorf("%s fault: %q is not one of %v", part, name, list)
}

package serve

import (
	"fmt"
	"slices"
	"time"
)

// MeterFault is what goes wrong between the meter and whoever polls it.
type MeterFault string

// The meter's faults.
const (
	MeterFine MeterFault = "none"
	// MeterLate answers every request lateBy after it came.
	MeterLate MeterFault = "late"
	// MeterTruncated sends the first half of each reply and keeps the rest.
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
	// MeterStuck answers well, but the registers no longer change.
	MeterStuck MeterFault = "stuck"
	// MeterOff answers well, but the transducers have no supply: currents and
	// voltages read zero while the furnace melts on.
	MeterOff MeterFault = "off"
)

// MeterFaults are all of them, MeterFine first.
func MeterFaults() []MeterFault {
	return []MeterFault{MeterFine, MeterLate, MeterTruncated, MeterWrongID, MeterException,
		MeterReset, MeterDown, MeterSilent, MeterStuck, MeterOff}
}

// lateBy is how late a late meter answers.
const lateBy = 3 * time.Second

// CameraFault is what goes wrong between the camera and whoever watches it.
type CameraFault string

// The camera's faults.
const (
	CameraFine CameraFault = "none"
	// CameraFrozen encodes the same picture again and again; time advances. As
	// in a real camera the encoder sees it anew, so pixels may differ by its
	// rounding.
	CameraFrozen CameraFault = "frozen"
	// CameraStale keeps connections open and sends no more pictures.
	CameraStale CameraFault = "stale"
	// CameraBlack sends black pictures.
	CameraBlack CameraFault = "black"
	// CameraAbsent closes every connection and refuses new ones.
	CameraAbsent CameraFault = "absent"
)

// CameraFaults are all of them, CameraFine first.
func CameraFaults() []CameraFault {
	return []CameraFault{CameraFine, CameraFrozen, CameraStale, CameraBlack, CameraAbsent}
}

// known reports a name that is not in the list, with the names that are.
func known[F ~string](part string, name F, list []F) error {
	if slices.Contains(list, name) {
		return nil
	}
	return fmt.Errorf("%s fault: %q is not one of %v", part, name, list)
}

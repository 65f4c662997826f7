package mqtt

import (
	"bytes"
	"encoding/json"
	"time"
)

// A box without a real-time clock starts in the wrong year, and learns the time
// when it first reaches a server. What it stamped before that is put right when
// it leaves: CLOCK_BOOTTIME ran on correctly all the while, so the record is as
// old as its mono_ms says. That holds within one run of the kernel; a record of
// an earlier one keeps the time it has and goes on saying "unsynced".

// What Stamp.Clock says.
const (
	clockSynced   = "synced"
	clockUnsynced = "unsynced"
	// clockRestamped: Time was put right afterwards, by MonoMS.
	clockRestamped = "restamped"
)

// unsyncedMark is in every record to put right, and rarely in another: what has
// it is decoded and looked at. The word stands alone because its first letter is
// rare in JSON, which makes the search quick, where a quotation mark is not.
var unsyncedMark = []byte(clockUnsynced)

// Restamp returns a record's payload with its time put right, where that is
// needed and possible, and the payload itself elsewhere.
func (s *Stamper) Restamp(class Class, payload []byte) []byte {
	if !bytes.Contains(payload, unsyncedMark) || !s.clock.Synced() {
		return payload
	}
	switch class {
	case ClassState:
		return restamped(s, payload, func(r *State, by time.Duration) {
			if !r.Since.IsZero() { // else nothing has begun
				r.Since = r.Since.Add(by)
			}
		})
	case ClassCurrent:
		return restamped(s, payload, func(*Sample, time.Duration) {})
	case ClassEvent:
		return restamped(s, payload, func(*Event, time.Duration) {})
	default:
		return payload
	}
}

// stamped is a record type that carries a Stamp.
type stamped[T any] interface {
	*T
	stamp() *Stamp
}

func (s *Stamp) stamp() *Stamp { return s }

// restamped moves a record's times by what its stamp turns out to be wrong. A
// payload that is not of the type, as a later version may have left it on disk,
// stays as it is.
func restamped[T any, P stamped[T]](s *Stamper, payload []byte, move func(record *T, by time.Duration)) []byte {
	var record T
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&record) != nil {
		return payload
	}
	stamp := P(&record).stamp()
	if stamp.Clock != clockUnsynced || stamp.KernelBoot != s.kernelBoot {
		return payload
	}
	age := s.clock.Boot() - time.Duration(stamp.MonoMS)*time.Millisecond
	right := s.clock.Wall(time.Now()).Add(-age).Round(time.Millisecond)
	by := right.Sub(stamp.Time)
	stamp.Time, stamp.Clock = right, clockRestamped
	move(&record, by)
	again, err := json.Marshal(record)
	if err != nil {
		return payload
	}
	return again
}

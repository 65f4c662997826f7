package stamp

import (
	"bytes"
	"encoding/json"
	"time"

	"meltwatch/agent/message"
)

// A box without a real-time clock starts with a wrong time, and sets it when it first
// reaches a server. Records stamped before that are corrected when they are sent:
// CLOCK_BOOTTIME has run correctly, so mono_ms gives the record's age. That holds
// within one run of the kernel; a record of an earlier run keeps its time and stays
// "unsynced".

// unsyncedMark is in every record to correct, and rarely in another; only records with
// it are decoded. It has no quotation mark in front, because a rare first letter makes
// the search fast.
var unsyncedMark = []byte(message.ClockUnsynced)

// Restamp returns a record's payload with corrected time if that is needed and
// possible, otherwise the payload unchanged.
func (s *Stamper) Restamp(class message.Class, payload []byte) []byte {
	if !bytes.Contains(payload, unsyncedMark) || !s.clock.Synced() {
		return payload
	}
	switch class {
	case message.ClassState:
		return restamped(s, payload, func(r *message.State) (*message.Stamp, []*time.Time) {
			return &r.Stamp, []*time.Time{&r.Since, &r.LevelSince}
		})
	case message.ClassCurrent:
		return restamped(s, payload, func(r *message.Sample) (*message.Stamp, []*time.Time) { return &r.Stamp, nil })
	case message.ClassEvent:
		return restamped(s, payload, func(r *message.Event) (*message.Stamp, []*time.Time) { return &r.Stamp, nil })
	case message.ClassHealth:
		return restamped(s, payload, func(r *message.Health) (*message.Stamp, []*time.Time) { return &r.Stamp, nil })
	case message.ClassAlarm, message.ClassSuspicion:
		return restamped(s, payload, func(r *message.Alarm) (*message.Stamp, []*time.Time) { return &r.Stamp, r.Times() })
	default:
		return payload
	}
}

// restamped corrects a record's stamp, and its other times if it has some. A payload of
// another type, which a later version may have left on disk, stays unchanged.
func restamped[T any](s *Stamper, payload []byte, times func(record *T) (stamp *message.Stamp, others []*time.Time)) []byte {
	var record T
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&record) != nil {
		return payload
	}
	stamp, others := times(&record)
	if stamp.Clock != message.ClockUnsynced || stamp.KernelBoot != s.kernelBoot {
		return payload
	}
	age := s.clock.Boot() - time.Duration(stamp.MonoMS)*time.Millisecond
	right := s.clock.Wall(time.Now()).Add(-age).Round(time.Millisecond)
	by := right.Sub(stamp.Time)
	stamp.Time, stamp.Clock = right, message.ClockRestamped
	for _, t := range others {
		if !t.IsZero() { // a zero time stays zero
			*t = t.Add(by)
		}
	}
	again, err := json.Marshal(record)
	if err != nil {
		return payload
	}
	return again
}

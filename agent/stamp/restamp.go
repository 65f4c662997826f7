package stamp

import (
	"bytes"
	"encoding/json"
	"time"

	"meltwatch/agent/message"
)

// A box without a real-time clock starts in the wrong year, and learns the time
// when it first reaches a server. What it stamped before that is put right when
// it leaves: CLOCK_BOOTTIME ran on correctly all the while, so the record is as
// old as its mono_ms says. That holds within one run of the kernel; a record of
// an earlier one keeps the time it has and goes on saying "unsynced".

// unsyncedMark is in every record to put right, and rarely in another: what has
// it is decoded and looked at. The word stands alone because its first letter is
// rare in JSON, which makes the search quick, where a quotation mark is not.
var unsyncedMark = []byte(message.ClockUnsynced)

// Restamp returns a record's payload with its time put right, where that is
// needed and possible, and the payload itself elsewhere.
func (s *Stamper) Restamp(class message.Class, payload []byte) []byte {
	if !bytes.Contains(payload, unsyncedMark) || !s.clock.Synced() {
		return payload
	}
	switch class {
	case message.ClassState:
		return restamped(s, payload, func(r *message.State) (*message.Stamp, *time.Time) { return &r.Stamp, &r.Since })
	case message.ClassCurrent:
		return restamped(s, payload, func(r *message.Sample) (*message.Stamp, *time.Time) { return &r.Stamp, nil })
	case message.ClassEvent:
		return restamped(s, payload, func(r *message.Event) (*message.Stamp, *time.Time) { return &r.Stamp, nil })
	default:
		return payload
	}
}

// restamped corrects a record's stamp, and the second time that it may hold. A
// payload that is not of the type, as a later version may have left it on disk,
// stays as it is.
func restamped[T any](s *Stamper, payload []byte, times func(record *T) (stamp *message.Stamp, since *time.Time)) []byte {
	var record T
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&record) != nil {
		return payload
	}
	stamp, since := times(&record)
	if stamp.Clock != message.ClockUnsynced || stamp.KernelBoot != s.kernelBoot {
		return payload
	}
	age := s.clock.Boot() - time.Duration(stamp.MonoMS)*time.Millisecond
	right := s.clock.Wall(time.Now()).Add(-age).Round(time.Millisecond)
	by := right.Sub(stamp.Time)
	stamp.Time, stamp.Clock = right, message.ClockRestamped
	if since != nil && !since.IsZero() { // else nothing has begun
		*since = since.Add(by)
	}
	again, err := json.Marshal(record)
	if err != nil {
		return payload
	}
	return again
}

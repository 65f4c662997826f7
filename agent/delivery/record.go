package delivery

import (
	"time"

	"meltwatch/agent/message"
)

// record is one JSON object to be delivered. The publisher's lock guards it, except the
// payload, which never changes.
type record struct {
	class   message.Class
	payload []byte
	made    time.Time
	// keep is false for a repeated state: it is published while connected and not
	// stored.
	keep bool
	// sending reports whether the record is queued in live or history, or waits for its
	// PUBACK.
	sending bool
	// acked reports whether its PUBACK has arrived.
	acked bool
	// number is the record's number in the outbox, 0 if it is not there.
	number uint64
}

// numbers lists the outbox's record numbers by class.
type numbers map[message.Class][]uint64

func (n numbers) add(r *record) { n[r.class] = append(n[r.class], r.number) }

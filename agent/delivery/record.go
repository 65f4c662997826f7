package delivery

import (
	"time"

	"meltwatch/agent/message"
)

// record is one JSON object on its way. The publisher's lock guards it, the
// payload apart, which never changes.
type record struct {
	class   message.Class
	payload []byte
	made    time.Time
	// keep is false for a state that says nothing new: it is published while
	// connected and not kept for later.
	keep bool
	// sending: it waits in live or history, or for its PUBACK.
	sending bool
	// acked: its PUBACK came.
	acked bool
	// number in the outbox, 0 while it is not there.
	number uint64
}

// numbers by class, for the outbox.
type numbers map[message.Class][]uint64

func (n numbers) add(r *record) { n[r.class] = append(n[r.class], r.number) }

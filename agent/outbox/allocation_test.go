//go:build !race

package outbox

// The race detector allocates too.

import (
	"testing"

	"meltwatch/durable"
)

// A sample that waits on disk is written and acknowledged in groups, as the spooler does it,
// and taken in messages of twenty.
func TestRecordOnDiskAllocatesLittle(t *testing.T) {
	const group, message = 100, 20
	l, _ := open(t, durable.Folder(t.TempDir()), roomy())
	written := testing.AllocsPerRun(50, func() {
		for range group {
			l.Return(Current, []uint64{l.Append(Current, payload350)})
		}
		l.Sync()
	})
	taken := testing.AllocsPerRun(50, func() {
		for range group / message {
			numbers, payloads := l.Take(Current, message)
			if len(numbers) != message || len(payloads) != message {
				t.Fatalf("%d records, %d payloads", len(numbers), len(payloads))
			}
			l.Ack(Current, numbers)
		}
	})
	if written > 1.5*group || taken > 3*group {
		t.Errorf("%.2f allocations to write a record, %.2f to take and acknowledge it; at most 1.5 and 3 are wanted", written/group, taken/group)
	}
}

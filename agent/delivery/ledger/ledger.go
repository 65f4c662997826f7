// Package ledger records a delivery: which records were made, which reached the broker,
// how often, and in which order. It does not depend on payloads, topics or clocks: its
// users read a record's name and store a note of their own with it.
//
// A record is named by the boot of the agent that made it and its number within that
// boot, from 1 on without a gap. Each class of records has its own Class, and is
// delivered on two streams: live and history. Within a stream, first deliveries are in
// the order of the names; repetitions may come at any time.
package ledger

import (
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Name is a record's name within its class.
type Name struct{ Boot, Seq uint64 }

// Before reports whether a record was made before another of its class.
func (n Name) Before(other Name) bool {
	return n.Boot < other.Boot || n.Boot == other.Boot && n.Seq < other.Seq
}

// String formats the name for a report.
func (n Name) String() string { return fmt.Sprintf("boot %d seq %d", n.Boot, n.Seq) }

// Stream is one of the ways in which records of a class reach the broker.
type Stream int

// The streams.
const (
	Live Stream = iota
	History
)

// Entry is one record: whether it was received, and the user's note.
type Entry[Note any] struct {
	Received bool
	Note     Note
}

// Class holds the entries of one class of records. The zero value is empty. It is not
// safe for concurrent use.
type Class[Note any] struct {
	boots  map[uint64][]*Entry[Note] // by seq − 1
	newest [2]Name                   // by stream: the record whose first delivery came last

	Received int // records that were received
	Repeated int // deliveries beyond the first
}

// Entry returns a record's entry, and adds empty entries up to it. The pointer stays
// valid. n.Seq must be at least 1.
func (c *Class[Note]) Entry(n Name) *Entry[Note] {
	if c.boots == nil {
		c.boots = map[uint64][]*Entry[Note]{}
	}
	boot := c.boots[n.Boot]
	if missing := int(n.Seq) - len(boot); missing > 0 {
		added := make([]Entry[Note], missing)
		for i := range added {
			boot = append(boot, &added[i])
		}
		c.boots[n.Boot] = boot
	}
	return boot[n.Seq-1]
}

// Find returns a record's entry, nil if there is none.
func (c *Class[Note]) Find(n Name) *Entry[Note] {
	boot := c.boots[n.Boot]
	if n.Seq < 1 || n.Seq > uint64(len(boot)) {
		return nil
	}
	return boot[n.Seq-1]
}

// Boot returns a boot's entries, indexed by seq − 1.
func (c *Class[Note]) Boot(boot uint64) []*Entry[Note] { return c.boots[boot] }

// All yields every entry in the order of the names.
func (c *Class[Note]) All() iter.Seq2[Name, *Entry[Note]] {
	return func(yield func(Name, *Entry[Note]) bool) {
		for _, boot := range slices.Sorted(maps.Keys(c.boots)) {
			for i, e := range c.boots[boot] {
				if !yield(Name{boot, uint64(i) + 1}, e) {
					return
				}
			}
		}
	}
}

// Receive records that a record reached the broker on a stream. It returns the record's
// entry, and whether this is its first delivery. The error means that a newer record
// came first on this stream.
func (c *Class[Note]) Receive(n Name, s Stream) (e *Entry[Note], first bool, err error) {
	e = c.Entry(n)
	if e.Received {
		c.Repeated++
		return e, false, nil
	}
	e.Received = true
	c.Received++
	if last := c.newest[s]; !last.Before(n) {
		return e, true, fmt.Errorf("%s first delivered after %s", n, last)
	}
	c.newest[s] = n
	return e, true, nil
}

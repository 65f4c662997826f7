package ledger

import "time"

// Recent counts records by the instant at which they were acknowledged. A crash loses
// the acknowledgements since the sender last wrote its cursor, so these records may be
// sent again. The zero value is empty.
type Recent struct{ list []batch }

type batch struct {
	at      time.Time
	records int
}

// Add counts records at an instant. Instants must not decrease.
func (r *Recent) Add(at time.Time, records int) { r.list = append(r.list, batch{at, records}) }

// Since counts the records from an instant on.
func (r *Recent) Since(t time.Time) (records int) {
	for _, b := range r.list {
		if !b.at.Before(t) {
			records += b.records
		}
	}
	return records
}

// Forget drops what was counted before an instant.
func (r *Recent) Forget(before time.Time) {
	old := 0
	for old < len(r.list) && r.list[old].at.Before(before) {
		old++
	}
	r.list = r.list[old:]
}

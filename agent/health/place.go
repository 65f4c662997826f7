package health

import "time"

// New returns a part's record that is on no board yet: a part on trial keeps one
// beside the record of the part that it may replace.
func (b *Board) New(limit time.Duration) *Part {
	now := time.Now()
	return &Part{board: b, limit: limit, beat: now, state: Status{Status: "starting", Since: now}}
}

// Put puts a record on the board, in the place of the one of that name. It counts
// as having beaten now: it may have waited off the board.
func (b *Board) Put(name string, p *Part) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.beat = time.Now()
	b.parts[name] = p
}

// Remove takes a record off the board.
func (b *Board) Remove(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.parts, name)
}

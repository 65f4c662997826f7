package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sort"
)

// loaded is the segment that records are taken from. Reading needs the memory of one
// segment for each class, however many records wait.
type loaded struct {
	first  uint64
	size   int64
	data   []byte
	frames []frame
}

// giveUpReading is the number of failed reads after which a segment's records count as
// lost, so that one bad block does not block all later records.
const giveUpReading = 3

// waiting is the least number from n on that is neither done nor held. It may be beyond
// the newest.
func (q *queue) waiting(n uint64) uint64 {
	for {
		free := q.held.after(q.done.after(n))
		if free == n {
			return n
		}
		n = free
	}
}

// take holds and returns the oldest waiting records. With an error it returns those
// that it could read.
func (q *queue) take(most int) (numbers []uint64, payloads [][]byte, err error) {
	for n := q.waiting(1); n < q.next && len(numbers) < most; n = q.waiting(n) {
		payload, next, err := q.find(n)
		if err != nil {
			return numbers, payloads, err
		}
		if payload == nil {
			q.missing(n, next)
			n = next
			continue
		}
		q.held.add(n, n+1)
		numbers = append(numbers, n)
		payloads = append(payloads, payload)
	}
	if q.waiting(1) == q.next {
		q.cache = loaded{} // release the memory
	}
	return numbers, payloads, nil
}

// find returns a copy of a record's payload. If the record does not exist, it returns
// nil and the next number that may exist.
func (q *queue) find(n uint64) (payload []byte, next uint64, err error) {
	if len(q.tail) > 0 && n >= q.tail[0].number {
		i := sort.Search(len(q.tail), func(i int) bool { return q.tail[i].number >= n })
		switch {
		case i == len(q.tail):
			return nil, q.next, nil
		case q.tail[i].number > n:
			return nil, q.tail[i].number, nil
		}
		return slices.Clone(q.tail[i].payload), 0, nil
	}
	i := sort.Search(len(q.segments), func(i int) bool { return q.segments[i].first > n }) - 1
	if i < 0 {
		if len(q.segments) > 0 {
			return nil, q.segments[0].first, nil
		}
		return nil, q.end(-1), nil
	}
	if err := q.load(i); err != nil {
		return nil, 0, err
	}
	frames := q.cache.frames
	k := sort.Search(len(frames), func(k int) bool { return frames[k].number >= n })
	switch {
	case k == len(frames):
		return nil, q.end(i), nil
	case frames[k].number > n:
		return nil, frames[k].number, nil
	}
	return slices.Clone(q.cache.data[frames[k].start:frames[k].end]), 0, nil
}

// load reads segment i unless it is cached.
func (q *queue) load(i int) error {
	s := &q.segments[i]
	if q.cache.first == s.first && q.cache.size == s.size {
		return nil
	}
	data, err := q.files.Read(q.path(*s), min(s.size, readMost))
	if err == nil {
		err = checkHeader(data)
	}
	if err != nil {
		s.refused++
		if s.refused < giveUpReading && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read segment %s: %w", q.path(*s), err)
		}
		q.damage = append(q.damage, fmt.Sprintf("segment %s: %v", q.path(*s), err))
		data = nil
	}
	q.cache = loaded{s.first, s.size, data, scan(data, s.first, q.end(i)).frames}
	return nil
}

// missing marks numbers that should be on disk and are not as lost.
func (q *queue) missing(lo, hi uint64) {
	lost := q.finish(lo, hi)
	if lost == 0 {
		return
	}
	q.lost += lost
	q.damage = append(q.damage, fmt.Sprintf("%d records from number %d on are missing", lost, lo))
	i := sort.Search(len(q.segments), func(i int) bool { return q.segments[i].first > lo }) - 1
	if i >= 0 {
		q.segments[i].damaged = true
	}
}

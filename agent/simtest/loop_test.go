package simtest

import (
	"container/heap"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"time"
)

// event is a planned call.
type event struct {
	at     time.Duration // of the simulated day
	ticket uint64        // orders events at one instant by their planning
	do     func()
}

type events []*event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	if e[i].at == e[j].at {
		return e[i].ticket < e[j].ticket
	}
	return e[i].at < e[j].at
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(*event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	return x
}

// loop is the event loop of a simulated day.
type loop struct {
	random  *rand.Rand
	planned events
	tickets uint64
	began   time.Time
	// broken is the first violation of a promise; it ends the day.
	broken error
	trace  uint64
	tell   func(format string, args ...any) // logs the day's events for a replay
}

func newLoop(seed uint64, tell func(string, ...any)) *loop {
	return &loop{random: rand.New(rand.NewPCG(seed, 0x6c696665)), began: time.Now(), tell: tell}
}

// after plans a call.
func (l *loop) after(d time.Duration, do func()) {
	l.tickets++
	heap.Push(&l.planned, &event{l.age() + d, l.tickets, do})
}

// every repeats a call until it returns false.
func (l *loop) every(d time.Duration, do func() bool) {
	var again func()
	again = func() {
		if do() {
			l.after(d, again)
		}
	}
	l.after(d, again)
}

// run runs events until an instant, or a violation.
func (l *loop) run(until time.Time) {
	end := until.Sub(l.began)
	for len(l.planned) > 0 && l.broken == nil && l.planned[0].at <= end {
		next := heap.Pop(&l.planned).(*event)
		l.sleep(next.at)
		next.do()
	}
	if l.broken == nil {
		l.sleep(end)
	}
}

// sleep sleeps until an age of the day.
func (l *loop) sleep(until time.Duration) {
	if rest := until - l.age(); rest > 0 {
		time.Sleep(rest)
	}
}

// age is the time since the day's start.
func (l *loop) age() time.Duration { return time.Since(l.began) }

func (l *loop) violated(format string, args ...any) {
	if l.broken == nil {
		l.broken = fmt.Errorf("%s: %s", l.age(), fmt.Sprintf(format, args...))
	}
}

// note adds an event to the trace.
func (l *loop) note(what string, detail []byte) {
	sum := crc32.Update(crc32.Update(0, castagnoli, []byte(what)), castagnoli, detail)
	l.trace = (l.trace ^ uint64(sum) ^ uint64(l.age())<<20) * 0x100000001b3
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// some returns a random duration with an exponential distribution.
func (l *loop) some(mean time.Duration) time.Duration {
	return time.Duration(l.random.ExpFloat64() * float64(mean))
}

// between returns a uniformly distributed random duration.
func (l *loop) between(least, most time.Duration) time.Duration {
	return least + time.Duration(l.random.Int64N(int64(most-least)+1))
}

func (l *loop) chance(p float64) bool { return l.random.Float64() < p }

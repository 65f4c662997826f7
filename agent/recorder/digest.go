package recorder

import (
	"math"
	"slices"
	"strings"
	"time"

	"meltwatch/agent/message"
	"meltwatch/drivers"
)

// digest makes the summary of a segment, record by record.
type digest struct {
	Summary
	lastState string // of the record before, also in the segment before
	marked    int    // bytes of the events in Marks
}

const (
	// clockJump is a step of the wall clock, or a pause, that begins another segment.
	clockJump = time.Minute
	// maxMarked bounds the events that a summary repeats, in bytes: a flood of them, or one
	// that is huge, must not fill it.
	maxMarked = 256 << 10
)

// note extends the segment to an instant. A picture that is much older or newer than the
// records is left out: the span is theirs.
func (d *digest) note(at time.Time) {
	if d.From.IsZero() || at.Before(d.From) && d.From.Sub(at) < clockJump {
		d.From = at
	}
	if at.After(d.To) {
		d.To = at
	}
}

func (d *digest) picture(at time.Time) {
	d.Pictures++
	if d.To.IsZero() || at.Sub(d.To).Abs() < clockJump {
		d.note(at)
	}
}

func (d *digest) sample(s drivers.Sample) {
	d.note(s.Time)
	d.Samples++
	if s.Missing == "" {
		d.minute(s.Time).sample(s)
	}
}

// second reports whether the segment is kept from now on.
func (d *digest) second(at time.Time, s message.State) (kept bool) {
	d.note(at)
	d.minute(at).second(s)
	if s.State != d.lastState {
		d.lastState = s.State
		d.States = append(d.States, Change{at, s.State})
	} else if len(d.States) == 0 {
		d.States = append(d.States, Change{d.From, s.State})
	}
	return s.State == "abnormal" && d.keep(at, keptForAlarm)
}

// event adds an event of some bytes. It reports whether the segment is kept from now on.
func (d *digest) event(e message.Event, size int) (kept bool) {
	d.note(e.Time)
	if d.marked+size <= maxMarked {
		d.marked += size
		d.Marks = append(d.Marks, Mark{e.Time, e.Kind, e.Subject, e.From, e.To, e.Cause})
	}
	reason, ok := keptAround(e)
	return ok && d.keep(e.Time, reason)
}

// keptAround reports whether what is around an event is kept, and why.
func keptAround(e message.Event) (reason string, ok bool) {
	const longest = 100 // bytes
	reason = strings.TrimSpace(e.Kind + " " + e.Subject)
	return strings.ToValidUTF8(reason[:min(len(reason), longest)], ""), e.Kind == "sense" && e.From == "ok" || e.Kind == "mark"
}

func (d *digest) keep(at time.Time, reason string) (kept bool) {
	d.KeepUntil = at.Add(keepAround)
	if !outranks(reason, d.Keep) {
		return false
	}
	d.Keep = reason
	return true
}

const keptForAlarm = "alarm"

// outranks reports whether a reason to keep a segment takes the place of the one that it has:
// the first of all, and an alarm that of any other.
func outranks(reason, had string) bool {
	return had == "" || reason == keptForAlarm && had != keptForAlarm
}

// Summary describes a segment.
type Summary struct {
	// Name is that of its files, without the extension.
	Name string `json:"name"`
	// From and To are the instants of the first and the last record.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Bytes is the size of the segment.
	Bytes    int64 `json:"bytes"`
	Samples  int   `json:"samples"`
	Pictures int   `json:"pictures"`
	// States are the state at the beginning and each change.
	States []Change `json:"states"`
	Marks  []Mark   `json:"marks"`
	// Minutes summarise each minute.
	Minutes []Minute `json:"minutes"`
	// Keep is why the segment outlasts others; empty for an ordinary one.
	Keep string `json:"keep,omitempty"`
	// KeepUntil is how long what follows is kept too, if the reason lies in this segment.
	KeepUntil time.Time `json:"keep_until,omitzero"`
}

// Change is a change of the furnace's state.
type Change struct {
	At    time.Time `json:"at"`
	State string    `json:"state"`
}

// Mark is an event.
type Mark struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Subject string    `json:"subject"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Cause   string    `json:"cause,omitempty"`
}

// Minute summarises a minute.
type Minute struct {
	At time.Time `json:"at"`
	// P is the greatest filtered p(abnormal).
	P float64 `json:"p"`
	// Amperes is the mean of all phases, Samples how many it is of.
	Amperes float64 `json:"amperes"`
	Samples int     `json:"samples"`
}

// minute returns the minute of an instant.
func (s *Summary) minute(at time.Time) *Minute {
	start := at.Truncate(time.Minute)
	i, found := slices.BinarySearchFunc(s.Minutes, start, func(m Minute, t time.Time) int { return m.At.Compare(t) })
	if !found {
		s.Minutes = slices.Insert(s.Minutes, i, Minute{At: start})
	}
	return &s.Minutes[i]
}

func (m *Minute) sample(s drivers.Sample) {
	mean := s.Current[0]/drivers.Phases + s.Current[1]/drivers.Phases + s.Current[2]/drivers.Phases
	next := m.Amperes + (mean-m.Amperes)/float64(m.Samples+1)
	if math.IsNaN(next) || math.IsInf(next, 0) {
		return // JSON has no such number
	}
	m.Amperes = next
	m.Samples++
}

func (m *Minute) second(s message.State) { m.P = max(m.P, s.PMean) }

package web

import (
	"math"
	"sync"
	"time"

	"meltwatch/agent/message"
	"meltwatch/drivers"
)

// Live keeps the last minutes for the page, in memory.
type Live struct {
	mu      sync.Mutex
	samples []Point
	states  []Verdict
}

// Point is a reading in a chart: seconds since 1970, amperes.
type Point struct {
	T float64 `json:"t"`
	A float64 `json:"a"`
	B float64 `json:"b"`
	C float64 `json:"c"`
}

// Verdict is a decided second in a chart.
type Verdict struct {
	T     float64 `json:"t"`
	P     float64 `json:"p"`
	Mean  float64 `json:"mean"`
	State string  `json:"state"`
}

// liveSpan is how much is kept; maxLive bounds it at any rate of the meter.
const (
	liveSpan = 10 * time.Minute
	maxLive  = 6000
)

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// Sample adds a reading.
func (l *Live) Sample(at time.Time, s drivers.Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range s.Current {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return // JSON has no such number
		}
	}
	l.samples = add(l.samples, Point{unix(at), s.Current[0], s.Current[1], s.Current[2]}, func(p Point) float64 { return p.T })
}

// State adds a decided second.
func (l *Live) State(s message.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.states = add(l.states, Verdict{unix(s.Time), s.PAbnormal, s.PMean, s.State}, func(v Verdict) float64 { return v.T })
}

// add appends a value, and drops what is older than liveSpan, many at a time so that the
// rest is rarely copied. If the clock is put back, a chart begins anew.
func add[T any](values []T, value T, at func(T) float64) []T {
	const many, stepBack = 500, 5 // values, seconds
	now := at(value)
	if n := len(values); n > 0 && now < at(values[n-1])-stepBack {
		values = nil
	}
	values = append(values, value)
	first := 0
	for first < len(values) && (at(values[first]) < now-liveSpan.Seconds() || len(values)-first > maxLive) {
		first++
	}
	if first < many {
		return values
	}
	return append(make([]T, 0, len(values)+many), values[first:]...)
}

// since returns what is newer than an instant.
func (l *Live) since(t float64) ([]Point, []Verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return after(l.samples, t, func(p Point) float64 { return p.T }), after(l.states, t, func(v Verdict) float64 { return v.T })
}

func after[T any](values []T, t float64, at func(T) float64) []T {
	first := len(values)
	for first > 0 && at(values[first-1]) > t {
		first--
	}
	return append([]T(nil), values[first:]...)
}

package simtest

import (
	"syscall"
	"time"

	"meltwatch/drivers"
)

// fault is a fault that recurs at random times.
type fault struct {
	name  string
	apart time.Duration // mean time from one end to the next beginning
	lasts time.Duration // mean
	begin func()
	end   func() // nil for an instantaneous fault
}

// planFaults plans the day's faults. The rate of each differs between days by a factor
// of ten.
func (w *world) planFaults() {
	f, n, s := w.furnace, w.network, w.storage
	for _, one := range []*fault{
		{name: "network away", apart: time.Hour, lasts: 3 * time.Minute, begin: w.cutNetwork, end: func() { n.up = true }},
		{name: "network away for long", apart: 12 * time.Hour, lasts: 2 * time.Hour, begin: w.cutNetwork, end: func() { n.up = true }},
		{name: "connection reset", apart: time.Hour, begin: n.lose},
		{name: "broker deaf", apart: 2 * time.Hour, lasts: 40 * time.Second, begin: func() { n.deaf = true }, end: func() { n.deaf = false }},
		{name: "network slow", apart: 2 * time.Hour, lasts: 3 * time.Minute,
			begin: func() { n.latency = w.between(300*time.Millisecond, 1500*time.Millisecond) },
			end:   func() { n.latency = w.between(time.Millisecond, 60*time.Millisecond) }},
		{name: "meter dead", apart: time.Hour, lasts: time.Minute,
			begin: func() { f.meterDead = time.Now() }, end: func() { f.meterDead = time.Time{} }},
		{name: "meter stuck", apart: 2 * time.Hour, lasts: time.Minute,
			begin: func() { f.meterStuck = time.Now() }, end: func() { f.meterStuck = time.Time{} }},
		{name: "video", apart: time.Hour, lasts: 2 * time.Minute,
			begin: func() { f.video = videoFaults[w.random.IntN(len(videoFaults))] }, end: func() { f.video = drivers.OK }},
		{name: "model", apart: time.Hour, lasts: time.Minute, begin: func() { f.model = errModel }, end: func() { f.model = nil }},
		{name: "disk refuses", apart: 2 * time.Hour, lasts: time.Minute,
			begin: func() { s.writes = diskFaults[w.random.IntN(len(diskFaults))] }, end: func() { s.writes = nil }},
		{name: "disk does not read", apart: 12 * time.Hour, lasts: 2 * time.Second,
			begin: func() { s.reads = syscall.EIO }, end: func() { s.reads = nil }},
		{name: "disk hangs", apart: 4 * time.Hour, begin: w.hangDisk},
		{name: "clock set wrong", apart: 6 * time.Hour, begin: w.clock.jump},
		{name: "kill", apart: 2 * time.Hour, begin: w.kill},
		{name: "power cut", apart: 2 * time.Hour, begin: w.powerCut},
	} {
		one.apart = time.Duration(float64(one.apart) * (0.3 + 2.7*w.random.Float64()))
		w.recur(one)
	}
}

func (w *world) recur(f *fault) {
	w.after(w.some(f.apart), func() {
		if !w.faulty {
			return
		}
		w.tell("fault: %s", f.name)
		w.note("fault", []byte(f.name))
		f.begin()
		if f.end == nil {
			w.recur(f)
			return
		}
		w.after(w.some(f.lasts), func() { f.end(); w.recur(f) })
	})
}

func (w *world) cutNetwork() {
	w.network.up, w.network.silent = false, w.chance(0.5)
	w.network.lose()
}

func (w *world) hangDisk() {
	if w.process != nil {
		w.process.hung = time.Now().Add(w.some(20 * time.Second))
	}
}

// heal ends every lasting fault, and prevents new ones.
func (w *world) heal() {
	w.tell("all heals")
	w.faulty = false
	w.network.up, w.network.deaf, w.network.latency = true, false, 5*time.Millisecond
	w.storage.writes, w.storage.reads = nil, nil
}

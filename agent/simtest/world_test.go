package simtest

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/durable/crashfs"
)

// bug is a planted bug, which the simulation must find.
type bug string

const (
	none           bug = ""
	noSync         bug = "an fsync left out"
	ackEarly       bug = "an acknowledgement counted early"
	dropNotCounted bug = "a drop not counted"
)

// world is one simulated day: a furnace, a box, a network, and their faults.
type world struct {
	*loop
	bug     bug
	furnace *furnace
	network *network
	clock   *hostClock
	storage *storage
	records *records
	process *process // nil if the agent does not run
	starts  int
	faulty  bool // faults may begin
	dark    bool // the power is off
}

// day is the length of a simulated day.
const day = 24 * time.Hour

// simulate simulates one day and returns its world.
func simulate(seed uint64, planted bug, tell func(string, ...any)) *world {
	// An unset clock shows the year 2000; the day must be later.
	time.Sleep(time.Until(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)))
	l := newLoop(seed, tell)
	w := &world{loop: l, bug: planted, faulty: true}
	w.furnace = &furnace{loop: l}
	w.clock = &hostClock{loop: l}
	w.records = newRecords(l, w.clock)
	w.network = &network{loop: l, records: w.records, up: true, latency: 5 * time.Millisecond, ackEarly: planted == ackEarly}
	w.storage = &storage{Disk: crashfs.New(-1), forgetful: planted == noSync}
	w.storage.Now = func() time.Time { return w.clock.Wall(time.Now()) }
	w.clock.powerUp()
	w.furnace.planDay()
	w.planFaults()
	w.start()
	w.every(time.Minute, func() bool {
		if w.process != nil {
			w.process.bounded()
		}
		return true
	})
	w.run(l.began.Add(day))
	w.heal()
	for range 60 { // until all waiting records are delivered
		w.run(time.Now().Add(time.Minute))
		if w.broken != nil || w.process != nil && w.process.drained() {
			break
		}
	}
	if w.broken == nil {
		w.finish()
	}
	return w
}

func (w *world) finish() {
	w.run(time.Now().Add(5 * time.Second))
	if w.process == nil || !w.process.drained() {
		w.violated("records still wait an hour after the last fault")
		return
	}
	w.process.count()
	w.records.close(w.process.boot, w.process.agent.Publisher().Counters()["overrun"])
}

// document returns the local configuration, another one at every start. At times it is
// damaged. It must then be refused, and the agent starts with the undamaged one.
func (w *world) document() ([]byte, config.Config) {
	r := rand.New(rand.NewPCG(uint64(w.starts), w.tickets))
	pick := func(values ...int) int { return values[r.IntN(len(values))] }
	current := pick(2, 4, 16)
	text := fmt.Sprintf(`site: plant-1
furnace: f07
meters:
  plc:
    url: tcp://192.0.2.10:502
    period: %dms
    fields: {current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}
camera: {url: "rtsp://192.0.2.11/stream"}
paths: {state: /state}
mqtt: {broker: "tcp://192.0.2.12:1883", queue: %d, history_rate: %d}
recorder: {enabled: false}
web: {listen: ""}
outbox: {total_mb: %d, event_mb: 2, state_mb: 2, current_mb: %d, current_age: %dh}
`, pick(500, 500, 1000), pick(100, 1000, 10_000), pick(50, 200, 500), current+pick(6, 8), current, pick(1, 24, 192))
	if r.IntN(3) == 0 {
		at := r.IntN(len(text))
		damaged := text[:at] + string(rune(' '+r.IntN(95))) + text[at+1:]
		if c, err := config.Parse([]byte(damaged)); err == nil && c.Site == "plant-1" && c.Furnace == "f07" && c.Paths.State == "/state" {
			text = damaged // the damage is harmless, such as another digit
		}
	}
	c, err := config.Parse([]byte(text))
	if err != nil {
		w.violated("settings refused: %v\n%s", err, text)
	}
	return []byte(text), c
}

// powerCut cuts the power at one of the next operations of the disk, or after a while
// without one.
func (w *world) powerCut() {
	if w.dark {
		return
	}
	w.storage.CutIn(w.random.IntN(12))
	w.dark = true // no process starts from now on
	w.after(w.between(0, 2*time.Second), func() {
		w.tell("power cut")
		w.storage.PowerOff = true
		w.crash()
		odds := []float64{0, 1, 0.5, 0.9}[w.random.IntN(4)]
		w.storage.Disk = w.storage.After(w.random, odds)
		w.after(w.between(5*time.Second, 5*time.Second+w.some(2*time.Minute)), func() {
			w.dark = false
			w.clock.powerUp()
			w.start()
		})
	})
}

// kill kills the agent only.
func (w *world) kill() {
	w.tell("kill")
	w.crash()
	w.after(w.between(time.Second, 20*time.Second), w.start)
}

func (w *world) crash() {
	if w.process != nil {
		w.process.die()
	}
}

var videoFaults = []drivers.Status{drivers.Stale, drivers.Frozen, drivers.Black, drivers.Absent}

var diskFaults = []error{syscall.ENOSPC, syscall.EROFS, syscall.EIO, syscall.EFBIG}

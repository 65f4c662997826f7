package outbox

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/durable/crashfs"
)

// account holds the guarantees of a scripted run up to the power cut.
type account struct {
	appended map[string][]string        // by class, in order: the records that may be found
	promised map[string]map[string]bool // durable and not acknowledged: the records that must be found
	ended    map[string]map[string]bool // acknowledged before the last cursor: the records that must not be found
}

func newAccount() *account {
	a := &account{appended: map[string][]string{}, promised: map[string]map[string]bool{}, ended: map[string]map[string]bool{}}
	for _, class := range classNames {
		a.promised[class], a.ended[class] = map[string]bool{}, map[string]bool{}
	}
	return a
}

// script uses the outbox: an outage, a reconnection, acknowledgements out of order,
// segments that fill and are deleted. Payloads are unique.
func script(l *Log, d *crashfs.Disk, a *account) {
	var unsynced, acked []func()
	add := func(class string, size int) {
		payload := fmt.Sprintf("%s-%04d-%s", class, len(a.appended[class]), strings.Repeat("x", size))
		a.appended[class] = append(a.appended[class], payload)
		number := l.Append(class, []byte(payload))
		l.Return(class, []uint64{number})
		promise := func() { a.promised[class][payload] = true }
		switch {
		case class == Event && !d.PowerOff:
			promise()
		default:
			unsynced = append(unsynced, promise)
		}
	}
	sync := func() {
		time.Sleep(1100 * time.Millisecond)
		l.Sync()
		if d.PowerOff {
			return
		}
		for _, f := range slices.Concat(unsynced, acked) {
			f()
		}
		unsynced, acked = nil, nil
	}
	ack := func(class string, most, but int) {
		numbers, payloads := l.Take(class, most)
		for i := range numbers {
			if but > 0 && i%but == 0 {
				l.Return(class, numbers[i:i+1])
				continue
			}
			l.Ack(class, numbers[i:i+1])
			payload := string(payloads[i])
			delete(a.promised[class], payload)
			if !d.PowerOff {
				acked = append(acked, func() { delete(a.promised[class], payload); a.ended[class][payload] = true })
			}
		}
	}
	for round := range 4 {
		add(Event, 100)
		for range 4 {
			add(Current, 5000)
		}
		add(State, 700)
		sync()
		add(Event, 40)
		add(Current, 220<<10) // five of them fill a segment
		add(Current, 200<<10)
		sync()
		ack(Event, 3, 2)
		ack(Current, 5, round)
		add(State, 300)
		sync()
	}
	ack(Current, 100, 0)
	ack(State, 100, 3)
	sync()
	add(Event, 10)
}

// check opens the disk after the power cut and compares it with the account.
func (a *account) check(t *testing.T, d *crashfs.Disk) {
	t.Helper()
	l, _ := open(t, d, roomy())
	for _, class := range classNames {
		at, found := 0, map[string]bool{}
		for _, payload := range takeAll(l, class) {
			i := slices.Index(a.appended[class][at:], payload)
			if i < 0 {
				t.Fatalf("%s: found %.20q, out of order or never appended", class, payload)
			}
			at += i + 1
			found[payload] = true
			if a.ended[class][payload] {
				t.Fatalf("%s: found %.20q, whose acknowledgement was durable", class, payload)
			}
		}
		for payload := range a.promised[class] {
			if !found[payload] {
				t.Fatalf("%s: lost %.20q", class, payload)
			}
		}
	}
	// The outbox still works.
	for _, class := range classNames {
		put(l, class, "after the cut")
		equal(t, class, []string{"after the cut"}, takeAll(l, class))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, w := open(t, d, roomy())
	for _, class := range classNames {
		got := takeAll(l, class)
		equal(t, class+" after another start", "after the cut", got[len(got)-1])
	}
	if len(w.incidents) > 0 {
		t.Fatalf("a power cut alone counted as damage: %v", w.incidents)
	}
}

// Power fails at every operation of the script in turn. Each time the unsynced changes
// are lost, kept, or partly lost and torn.
func TestPowerCutAtEveryOperation(t *testing.T) {
	cuts := 0
	for cut := 0; ; cut++ {
		alive := false
		for seed, odds := range []float64{0, 1, 0.5, 0.5, 0.9} {
			synctest.Test(t, func(t *testing.T) {
				d, a := crashfs.New(cut), newAccount()
				l, _ := open(t, d, roomy())
				script(l, d, a)
				alive = !d.PowerOff
				d.PowerOff = true
				defer func() {
					if t.Failed() {
						t.Logf("cut at operation %d, odds %g, seed %d", cut, odds, seed)
					}
				}()
				a.check(t, d.After(rand.New(rand.NewPCG(uint64(cut), uint64(seed))), odds))
			})
			cuts++
		}
		if alive || t.Failed() {
			break
		}
	}
	t.Logf("%d power cuts", cuts)
	if cuts < 500 {
		t.Errorf("%d cuts are too few for a proof", cuts)
	}
}

// A second power cut happens before the first Sync after the first cut. The records
// lost in the first cut were never durable, so they must not count as damage.
func TestSecondPowerCutBeforeTheFirstSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := crashfs.New(-1)
		l, _ := open(t, d, roomy())
		put(l, Event, "durable")
		put(l, Current, "durable")
		l.Sync()
		put(l, Current, "numbered", "and never written")
		l.Ack(Event, []uint64{1}) // so that a cursor with them is written
		l.mu.Lock()
		l.save()
		l.mu.Unlock()
		d = d.After(rand.New(rand.NewPCG(1, 1)), 0)
		l, _ = open(t, d, roomy())
		put(l, Current, "new")
		time.Sleep(2 * groupAge)
		put(l, Current, "newer") // commits both, without a Sync
		d = d.After(rand.New(rand.NewPCG(1, 1)), 0)
		l, w := open(t, d, roomy())
		equal(t, "current", []string{"durable", "new", "newer"}, takeAll(l, Current))
		if c := l.Counters(); c["lost_current"] != 0 || len(w.incidents) > 0 {
			t.Fatalf("%d records count as lost, incidents %v", c["lost_current"], w.incidents)
		}
	})
}

// orderly is a disk that checks, at each deletion of a segment, that the cursor on disk
// marks it as done. A test with power cuts alone would find this only if the deletion
// survives and the cursor does not.
type orderly struct {
	*crashfs.Disk
	t       *testing.T
	deleted int
}

func (o *orderly) Remove(name string) error {
	if first, ok := numbered(path.Base(name)); ok {
		o.deleted++
		marks, err := readCursor(o.After(rand.New(rand.NewPCG(1, 1)), 0)) // as after a power cut
		if err != nil {
			o.t.Fatal(err)
		}
		class := path.Dir(name)
		segments, err := listSegments(o, class)
		if err != nil {
			o.t.Fatal(err)
		}
		mark := marks[slices.Index(classNames[:], class)]
		end := mark.next
		if i := slices.IndexFunc(segments, func(s segment) bool { return s.first > first }); i >= 0 {
			end = segments[i].first
		}
		if !mark.done.covers(first, end) {
			o.t.Errorf("%s deleted before the cursor marks it as done", name)
		}
	}
	return o.Disk.Remove(name)
}

func TestCursorIsDurableBeforeASegmentIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &orderly{Disk: crashfs.New(-1), t: t}
		settings := roomy()
		settings.Current.Bytes = 6 << 20 // some are dropped by the bound
		l, _ := open(t, d, settings)
		for range 12 {
			put(l, Current, many(1500, 600)...)
			time.Sleep(1100 * time.Millisecond)
			l.Sync()
			numbers, _ := l.Take(Current, 1000)
			l.Ack(Current, numbers)
		}
		if d.deleted < 5 {
			t.Fatalf("%d segments deleted: too few to prove anything", d.deleted)
		}
	})
}

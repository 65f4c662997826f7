package delivery

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meltwatch/agent/message"
	"meltwatch/agent/outbox"
	"meltwatch/durable"
)

// onDisk returns an outbox as the agent opens it.
func onDisk(t *testing.T, folder string) *outbox.Log {
	t.Helper()
	plenty := outbox.Retention{Bytes: 1 << 40, Age: 1000 * time.Hour}
	settings := outbox.Settings{Bytes: 1 << 40, Event: plenty, State: plenty, Current: plenty, MemoryRecords: 1000}
	l, err := outbox.Open(durable.Folder(folder), settings, slog.New(slog.DiscardHandler), quiet{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// everyOutbox runs a test for each kind of Outbox.
func everyOutbox(t *testing.T, test func(*testing.T, Outbox)) {
	t.Run("memory", func(t *testing.T) { test(t, NewMemory(100_000)) })
	t.Run("disk", func(t *testing.T) { test(t, onDisk(t, t.TempDir())) })
	t.Run("late disk, not there yet", func(t *testing.T) {
		test(t, NewRecovering(100_000, func() (Outbox, error) { return nil, errors.New("not there yet") }))
	})
	t.Run("late disk, there by now", func(t *testing.T) {
		l := NewRecovering(100_000, func() (Outbox, error) { return onDisk(t, t.TempDir()), nil })
		l.tried = time.Time{}
		test(t, l)
	})
}

func takeText(o Outbox, class string, most int) (texts []string) {
	_, payloads := o.Take(class, most)
	for _, p := range payloads {
		texts = append(texts, string(p))
	}
	return texts
}

func TestOutboxHandsOutEachRecordOnceAndInOrder(t *testing.T) {
	everyOutbox(t, func(t *testing.T, o Outbox) {
		var numbers []uint64
		for _, text := range []string{"a", "b", "c", "d"} {
			numbers = append(numbers, o.Append("event", []byte(text)))
		}
		other := o.Append("state", []byte("s"))
		steps := []struct {
			what string
			do   func()
			want []string
		}{
			{"what was appended is held", func() {}, nil},
			{"what is returned waits, in its place", func() { o.Return("event", []uint64{numbers[2], numbers[0]}) }, []string{"a", "c"}},
			{"what was taken is held", func() {}, nil},
			{"what was acknowledged never comes back", func() { o.Ack("event", numbers[:1]); o.Return("event", numbers) }, []string{"b", "c", "d"}},
			{"numbers never given mean nothing", func() { o.Ack("event", []uint64{0, 1 << 60}); o.Return("event", []uint64{0, 1 << 60}) }, nil},
		}
		for _, s := range steps {
			s.do()
			o.Sync()
			if diff := cmp.Diff(s.want, takeText(o, "event", 10)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", s.what, diff)
			}
		}
		o.Return("state", []uint64{other})
		if got := takeText(o, "state", 10); !slices.Equal(got, []string{"s"}) {
			t.Errorf("another class took %v", got)
		}
		if n := o.Append("video", []byte("x")); n != 0 {
			t.Errorf("a class that does not exist got number %d", n)
		}
	})
}

// Any sequence of operations must have the same result as with a plain list.
func TestOutboxAgreesWithAList(t *testing.T) {
	everyOutbox(t, func(t *testing.T, o Outbox) {
		type entry struct {
			number uint64
			text   string
			held   bool
		}
		var list []*entry
		r := rand.New(rand.NewPCG(7, 8))
		pick := func(held bool) *entry {
			some := slices.DeleteFunc(slices.Clone(list), func(e *entry) bool { return e.held != held })
			if len(some) == 0 {
				return nil
			}
			return some[r.IntN(min(len(some), 20))] // acknowledgements come almost in order
		}
		for i := range 3000 {
			switch e := pick(true); {
			case r.IntN(5) < 2:
				text := fmt.Sprint(i)
				list = append(list, &entry{o.Append("current", []byte(text)), text, true})
			case r.IntN(4) == 0:
				var want []string
				most := 1 + r.IntN(5)
				for _, e := range list {
					if !e.held && len(want) < most {
						e.held = true
						want = append(want, e.text)
					}
				}
				if diff := cmp.Diff(want, takeText(o, "current", most)); diff != "" {
					t.Fatalf("operation %d (-want +got):\n%s", i, diff)
				}
			case e != nil && r.IntN(3) == 0:
				e.held = false
				o.Return("current", []uint64{e.number})
			case e != nil:
				o.Ack("current", []uint64{e.number})
				list = slices.DeleteFunc(list, func(other *entry) bool { return other == e })
			default:
				o.Sync()
			}
			if waiting := o.Counters()["waiting_current"]; int(waiting) != len(list) {
				t.Fatalf("operation %d: %d waiting, want %d", i, waiting, len(list))
			}
		}
	})
}

func TestHealthyConnectionStoresEventsOnly(t *testing.T) {
	b := newBroker(t)
	folder := t.TempDir()
	a := startWith(t, b.url(), onDisk(t, folder))
	eventually(t, 10*time.Second, "connected", func() bool { return b.retained(root+message.TopicAvailability) == "online" })
	for range 20 {
		a.second("normal")
		time.Sleep(100 * time.Millisecond)
	}
	eventually(t, 10*time.Second, "events", func() bool { return len(b.on(root+message.TopicEvent)) == 20 })
	if n := len(b.on(root + "history/event")); n != 0 {
		t.Errorf("%d events came as history over a healthy link", n)
	}
	for _, class := range []string{"state", "current"} {
		if _, err := os.Stat(filepath.Join(folder, class)); err == nil {
			// A machine so slow that an acknowledgement takes a second may write.
			t.Logf("%s was written to disk over a healthy link", class)
			if c := a.Counters(); c["bytes_"+class] > 5000 {
				t.Errorf("%d bytes of %s written over a healthy link", c["bytes_"+class], class)
			}
		}
	}
	eventually(t, 10*time.Second, "events acknowledged", func() bool { return a.Counters()["waiting_event"] == 0 })
}

// The agent is restarted while the broker is away. The records on disk arrive as
// history of the former boot.
func TestRestartInAnOutageLosesNothing(t *testing.T) {
	b := newBroker(t)
	b.down()
	folder := t.TempDir()
	log := onDisk(t, folder)
	a := startWith(t, b.url(), log)
	for range 5 {
		a.second("abnormal")
	}
	a.stop()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	b.up()
	log = onDisk(t, folder)
	a = startWith(t, b.url(), log)
	for _, class := range []string{"event", "state", "current"} {
		eventually(t, 20*time.Second, class+" of the former boot", func() bool { return len(seen(t, b, class)) == 5 })
		inOrder(t, sequence(t, b.on(root+"history/"+class)))
	}
	eventually(t, 10*time.Second, "an empty outbox", func() bool {
		c := a.Counters()
		return c["waiting_event"]+c["waiting_state"]+c["waiting_current"] == 0
	})
	a.stop()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log = onDisk(t, folder)
	if c := log.Counters(); c["waiting_event"]+c["waiting_state"]+c["waiting_current"] != 0 {
		t.Errorf("after the next restart %v waits again", c)
	}
}

// hung is an outbox whose disk does not answer.
type hung struct {
	*Memory
	answer chan struct{}
}

func (h hung) Append(class string, payload []byte) uint64 {
	<-h.answer
	return h.Memory.Append(class, payload)
}

func TestHangingDiskDoesNotDelayTheLiveStream(t *testing.T) {
	b := newBroker(t)
	h := hung{NewMemory(1000), make(chan struct{})}
	a := startWith(t, b.url(), h)
	eventually(t, 10*time.Second, "connected", func() bool { return b.retained(root+message.TopicAvailability) == "online" })
	a.second("normal") // the event waits for the disk
	time.Sleep(100 * time.Millisecond)
	a.second("abnormal")
	eventually(t, 10*time.Second, "state and samples", func() bool {
		return strings.Contains(b.retained(root+message.TopicState), "abnormal") && len(b.on(root+message.TopicCurrent)) == 2
	})
	if n := len(b.on(root + message.TopicEvent)); n != 0 {
		t.Errorf("%d events were published before they were stored", n)
	}
	close(h.answer)
	eventually(t, 10*time.Second, "events", func() bool { return len(b.on(root+message.TopicEvent)) == 2 })
}

func TestHistoryKeepsItsRate(t *testing.T) {
	var c pace
	now, sent := time.Unix(1000, 0), 0
	for range 10_000 { // ten seconds in steps of a millisecond
		for c.ready(now) {
			c.sent(now, 200)
			sent++
		}
		now = now.Add(time.Millisecond)
	}
	if sent < 1990 || sent > 2020 {
		t.Errorf("%d messages in 10 s at 200/s", sent)
	}
	now = now.Add(time.Hour)
	burst := 0
	for c.ready(now) {
		c.sent(now, 200)
		burst++
	}
	if burst > 20 {
		t.Errorf("%d messages at once after a pause", burst)
	}
}

func TestRecordsThatWaitForTheOutboxAreBounded(t *testing.T) {
	a := New(startSettings("tcp://127.0.0.1:1", 4), root, nil, NewMemory(10), slog.New(slog.DiscardHandler), quiet{})
	for range 3 {
		a.Event(message.Event{Kind: "test"})
		a.Sample(message.Sample{})
		a.State(message.State{}, true)
	}
	var classes []message.Class
	for _, r := range a.fresh {
		classes = append(classes, r.class)
	}
	want := []message.Class{message.ClassEvent, message.ClassEvent, message.ClassEvent, message.ClassState}
	if diff := cmp.Diff(want, classes); diff != "" || a.Counters()["overrun"] != 5 {
		t.Errorf("kept (-want +got):\n%s counters %v", diff, a.Counters())
	}
}

package ledger

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFirstDeliveriesKeepTheirOrder(t *testing.T) {
	type delivery struct {
		Name
		Stream
		fault string // the reported fault
	}
	for _, c := range []struct {
		fact               string
		deliveries         []delivery
		received, repeated int
	}{
		{"in order", []delivery{{Name{1, 1}, Live, ""}, {Name{1, 2}, Live, ""}, {Name{2, 1}, Live, ""}}, 3, 0},
		{"with gaps, which history fills", []delivery{{Name{1, 1}, Live, ""}, {Name{1, 9}, Live, ""}, {Name{1, 2}, History, ""}, {Name{1, 3}, History, ""}}, 4, 0},
		{"a repetition of an old one", []delivery{{Name{1, 1}, Live, ""}, {Name{1, 2}, Live, ""}, {Name{1, 1}, Live, ""}, {Name{1, 3}, Live, ""}}, 3, 1},
		{"a repetition on the other stream", []delivery{{Name{1, 1}, Live, ""}, {Name{1, 1}, History, ""}}, 1, 1},
		{"an older one late", []delivery{{Name{1, 2}, Live, ""}, {Name{1, 1}, Live, "boot 1 seq 1 first delivered after boot 1 seq 2"}, {Name{1, 3}, Live, ""}}, 3, 0},
		{"an older boot late", []delivery{{Name{2, 1}, History, ""}, {Name{1, 7}, History, "boot 1 seq 7 first delivered after boot 2 seq 1"}}, 2, 0},
	} {
		var class Class[struct{}]
		for _, d := range c.deliveries {
			e, _, err := class.Receive(d.Name, d.Stream)
			if !e.Received || (err == nil) != (d.fault == "") || err != nil && !strings.Contains(err.Error(), d.fault) {
				t.Errorf("%s: %s: %v, want %q", c.fact, d.Name, err, d.fault)
			}
		}
		if class.Received != c.received || class.Repeated != c.repeated {
			t.Errorf("%s: %d received, %d repeated; want %d, %d", c.fact, class.Received, class.Repeated, c.received, c.repeated)
		}
	}
}

func TestEntriesAreFoundByName(t *testing.T) {
	var class Class[string]
	if class.Find(Name{1, 1}) != nil || class.Boot(1) != nil {
		t.Error("an empty class has a record")
	}
	second := class.Entry(Name{2, 2})
	class.Entry(Name{1, 1}).Note = "a"
	class.Entry(Name{2, 3}) // growth must not move an entry
	second.Note = "b"
	for _, unknown := range []Name{{1, 0}, {1, 2}, {2, 4}, {3, 1}, {0, 0}} {
		if class.Find(unknown) != nil {
			t.Errorf("%s was never made", unknown)
		}
	}
	if e := class.Find(Name{2, 2}); e == nil || e.Note != "b" || len(class.Boot(2)) != 3 {
		t.Errorf("boot 2: %+v", class.Boot(2))
	}
	var names []Name
	for name, e := range class.All() {
		names = append(names, name)
		if name == (Name{2, 1}) && e.Note != "" {
			t.Errorf("%s holds %q", name, e.Note)
		}
	}
	if want := []Name{{1, 1}, {2, 1}, {2, 2}, {2, 3}}; !slices.Equal(names, want) {
		t.Errorf("all: %v, want %v", names, want)
	}
}

func TestRecentCountsFromAnInstantOn(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	var r Recent
	for i := range 5 {
		r.Add(at(i), 10+i)
	}
	for since, want := range map[int]int{-1: 60, 0: 60, 3: 27, 4: 14, 5: 0} {
		if got := r.Since(at(since)); got != want {
			t.Errorf("since %d: %d, want %d", since, got, want)
		}
	}
	r.Forget(at(3))
	if got := r.Since(at(0)); got != 27 {
		t.Errorf("after forgetting: %d, want 27", got)
	}
}

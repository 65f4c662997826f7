package box

import (
	"encoding/json"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/bench/performance/figures"
)

// A second counts once, whatever repeats it; one that the rule decided, or that never came,
// is missed.
func TestMissedVerdictsAreCounted(t *testing.T) {
	s := &states{}
	begin := time.Now().Truncate(time.Second)
	say := func(furnace, source string, after int) {
		text, err := json.Marshal(map[string]any{"time": begin.Add(time.Duration(after) * time.Second), "source": source})
		if err != nil {
			t.Fatal(err)
		}
		s.take(message.Root(site, furnace)+message.TopicState, text)
	}
	say("f1", "model", 0) // before the watch
	s.count(true)
	for after := range 5 {
		say("f1", "model", after)
		say("f3", "model", after)
		if after != 3 {
			say("f2", "model", after)
		}
	}
	say("f3", "model", 5) // the watch of 5 s has room for a sixth: nobody else's
	say("f2", "model", 4)
	say("f1", "rule", 2)
	s.take("elsewhere", []byte("{}"))
	s.take(message.Root(site, "f1")+message.TopicState, []byte("no JSON"))
	s.count(false)
	say("f2", "model", 9)
	got := figures.Round{}
	s.figures(got, "4 whole ", 4, 5*time.Second) // the fourth is silent
	if got["4 whole missed"] != 7 || got["4 whole due"] != 20 {
		t.Errorf("missed %v of %v, want 7 of 20", got["4 whole missed"], got["4 whole due"])
	}
}

// Each row names a figure that a measurement gives, and no two rows the same one.
func TestRowsNameFigures(t *testing.T) {
	given := map[string]bool{}
	for _, k := range append(kinds(false), kinds(true)...) {
		for _, count := range k.counts {
			s, round := &states{}, figures.Round{}
			s.count(true)
			s.take(message.Root(site, "f1")+message.TopicState, []byte(`{"time":"2026-11-29T00:00:00Z","source":"model"}`))
			s.figures(round, k.prefix(count), count, time.Second)
			used{cpu: time.Second}.figures(round, k.prefix(count), count, time.Second, used{})
			if k.ends {
				round[k.prefix(count)+"replaced"] = 0
			}
			for name := range round {
				given[name] = true
			}
		}
	}
	for _, table := range append(Tables(false), Tables(true)...) {
		for _, row := range table.Rows {
			if !given[row.Ours] {
				t.Errorf("%s: %s: %q is not measured, or named twice", table.Title, row.What, row.Ours)
			}
			delete(given, row.Ours)
		}
	}
}

// Processes that ended during the watch are counted, whatever took their places.
func TestEndedProcessesAreCounted(t *testing.T) {
	before := used{processes: []int{7, 3, 5}}
	for name, c := range map[string]struct {
		after []int
		ended int
	}{
		"the same":     {[]int{5, 7, 3}, 0},
		"one replaced": {[]int{3, 5, 9}, 1},
		"one ended":    {[]int{3, 5}, 1},
		"one more":     {[]int{3, 5, 7, 9}, 0},
	} {
		if ended := (used{processes: c.after}).ended(before); ended != c.ended {
			t.Errorf("%s: %d, want %d", name, ended, c.ended)
		}
	}
}

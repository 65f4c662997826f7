package report

import (
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/agent/stamp"
	"meltwatch/agent/state"
	"meltwatch/durable/crashfs"
)

// seen is a second whose senses have these familiarities.
func seen(current, video *decide.Familiarity) decide.Decision {
	return decide.Decision{
		End: time.Now(), Alignment: math.NaN(), Surprise: math.NaN(), PCurrent: math.NaN(), PVideo: math.NaN(),
		Status: state.Status{State: state.Normal, Level: state.LevelNone}, FamiliarityCurrent: current, FamiliarityVideo: video,
	}
}

func TestStateTellsFamiliarity(t *testing.T) {
	for name, c := range map[string]struct {
		current, video *decide.Familiarity
		want           map[string]any // nil: absent
	}{
		"a model that does not tell": {nil, nil, map[string]any{"familiarity": nil, "familiarity_mean": nil, "unfamiliar": nil}},
		"no mean yet": {
			&decide.Familiarity{Score: 0.75, Mean: math.NaN()}, &decide.Familiarity{Score: math.NaN(), Mean: math.NaN()},
			map[string]any{"familiarity.current": 0.75, "familiarity.video": nil, "familiarity_mean": nil, "unfamiliar": nil},
		},
		"one sense alone": {
			nil, &decide.Familiarity{Score: 0.5, Mean: 0.25},
			map[string]any{"familiarity.current": nil, "familiarity.video": 0.5, "familiarity_mean.video": 0.25, "familiarity_mean.current": nil, "unfamiliar": nil},
		},
		"an unfamiliar video": {
			&decide.Familiarity{Score: 0.75, Mean: 0.5}, &decide.Familiarity{Score: 0, Mean: 0.125, Unfamiliar: true},
			map[string]any{"familiarity.video": 0.0, "familiarity_mean.video": 0.125, "unfamiliar.current": false, "unfamiliar.video": true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			have := published(t, seen(c.current, c.video))
			for key, want := range c.want {
				outer, inner, nested := strings.Cut(key, ".")
				value := have[outer]
				if nested {
					value = value.(map[string]any)[inner]
				}
				if value != want {
					t.Errorf("%s is %v, want %v", key, value, want)
				}
			}
		})
	}
}

// events keeps the events of one kind.
type events struct {
	silent
	kind string
	all  []message.Event
}

func (e *events) Event(one message.Event) {
	if one.Kind == e.kind {
		e.all = append(e.all, one)
	}
}

// One event says that a sense has become unfamiliar, and one that it no longer is; health
// names it in between.
func TestEventsOfFamiliarity(t *testing.T) {
	output, registry := &events{kind: "familiarity"}, health.NewRegistry()
	r := New(Settings{
		Output: output, Registry: registry, Limit: time.Hour, Machine: state.New(state.Params{}), Files: crashfs.New(-1),
		Stamper: stamp.At(1, "kernel", stamp.KernelClock{}, "test"), Log: slog.New(slog.DiscardHandler),
		Model: func() message.ModelName { return message.ModelName{} }, Cause: func() string { return "" }, Dropped: func() uint64 { return 0 },
	})
	own := &decide.Familiarity{Score: 0.9, Mean: 0.9}
	stranger := &decide.Familiarity{Score: 0, Mean: 0.1, Unfamiliar: true, Cause: "unlike any"}
	other := &decide.Familiarity{Score: 0, Mean: 0.05, Unfamiliar: true, Cause: "unlike any of the other's"}
	again := &decide.Familiarity{Score: 0.9, Mean: 0.9, Cause: "0.20 or more again"}
	for _, c := range []struct {
		what           string
		current, video *decide.Familiarity
		want           []string // subject from to cause
		degraded       []string
	}{
		{"familiar at first", own, own, nil, nil},
		{"the video is not", own, stranger, []string{"video familiar unfamiliar unlike any"}, []string{"video: unlike any"}},
		{"that goes on", own, stranger, nil, []string{"video: unlike any"}},
		{"nor is the current", stranger, stranger, []string{"current familiar unfamiliar unlike any"}, []string{"current: unlike any", "video: unlike any"}},
		{"the video is again", stranger, again, []string{"video unfamiliar familiar 0.20 or more again"}, []string{"current: unlike any"}},
		{"a model decides that has found the same beside the other", other, again, nil, []string{"current: unlike any of the other's"}},
		{"one decides that has always found it familiar", own, again, []string{"current unfamiliar familiar another model decides"}, nil},
		{"the first decides again", stranger, again, []string{"current familiar unfamiliar unlike any"}, []string{"current: unlike any"}},
		{"a model that does not tell decides", nil, nil, []string{"current unfamiliar unknown another model decides"}, nil},
	} {
		output.all = nil
		r.Decided(seen(c.current, c.video))
		var have []string
		for _, e := range output.all {
			have = append(have, strings.Join([]string{e.Subject, e.From, e.To, e.Cause}, " "))
		}
		if !slices.Equal(have, c.want) {
			t.Errorf("%s: events %q, want %q", c.what, have, c.want)
		}
		if degraded := registry.Snapshot()["decide"].Degraded; !slices.Equal(degraded, c.degraded) {
			t.Errorf("%s: degraded %q, want %q", c.what, degraded, c.degraded)
		}
		if status := registry.Snapshot()["decide"].Status; status != "ok" {
			t.Errorf("%s: the decision is %s", c.what, status)
		}
	}
}

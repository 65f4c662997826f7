package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"meltwatch/agent/align"
	"meltwatch/agent/decide"
	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/agent/outbox"
	"meltwatch/agent/stamp"
	"meltwatch/agent/state"
	"meltwatch/durable"
	"meltwatch/durable/crashfs"
)

// published is a second's state as a subscriber reads it.
func published(t *testing.T, s decide.Decision) map[string]any {
	t.Helper()
	stamper, err := stamp.OnHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &Reporter{Settings: Settings{Stamper: stamper, Model: func() message.ModelName { return message.ModelName{} }}}
	text, err := json.Marshal(r.payload(s))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

func TestStateTellsTheClockOffsetOnlyWhenItIsKnown(t *testing.T) {
	unknown := published(t, decide.Decision{End: time.Now(), Alignment: math.NaN(), Surprise: math.NaN(), PCurrent: math.NaN(), PVideo: math.NaN()})
	if _, there := unknown["alone"]; there {
		t.Errorf("each sense alone is %v while the model does not tell", unknown["alone"])
	}
	for _, key := range []string{"clock_offset_s", "clock_spread_s", "clock_confidence", "clock_correction_s", "surprise"} {
		if value, there := unknown[key]; there {
			t.Errorf("%s is %v while nothing is known", key, value)
		}
	}
	known := published(t, decide.Decision{
		End: time.Now(), Alignment: 0.5, Surprise: 0.25, PCurrent: 0.75, PVideo: math.NaN(), Counted: decide.Counted{Current: true},
		Offset: &align.Estimate{Seconds: -1.5, Spread: 0.2, Windows: 60}, Correction: -500 * time.Millisecond, OffsetConfidence: 0.96875,
	})
	for key, want := range map[string]any{"clock_offset_s": -1.5, "clock_spread_s": 0.2, "clock_confidence": 0.96875, "clock_correction_s": -0.5, "surprise": 0.25} {
		if known[key] != want {
			t.Errorf("%s is %v, want %v", key, known[key], want)
		}
	}
	if alone := known["alone"].(map[string]any); alone["current"] != 0.75 || alone["video"] != nil {
		t.Errorf("each sense alone %v", alone)
	}
	if counted := known["counted"].(map[string]any); counted["current"] != true || counted["video"] != false {
		t.Errorf("counted %v", counted)
	}
}

// The level is told with its own instant, and the mean only where it is compared.
func TestStateTellsItsLevel(t *testing.T) {
	blank := decide.Decision{End: time.Now(), Alignment: math.NaN(), Surprise: math.NaN(), PCurrent: math.NaN(), PVideo: math.NaN()}
	began, suspected := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC), time.Date(2026, 11, 28, 13, 5, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		status state.Status
		want   map[string]any // nil: absent
	}{
		"none":                       {state.Status{State: state.Normal, Level: state.LevelNone, Since: began}, map[string]any{"level": "none", "level_since": nil, "level_held": nil, "p_suspect": nil}},
		"none, with a mean":          {state.Status{State: state.Normal, Level: state.LevelNone, Suspicion: state.Suspicion{P: 0, Filtered: true}}, map[string]any{"level": "none", "p_suspect": 0.0}},
		"suspected":                  {state.Status{State: state.Normal, Level: state.LevelSuspected, Since: began, Suspicion: state.Suspicion{On: true, Since: suspected, P: 0.5, Filtered: true}}, map[string]any{"state": "normal", "held": false, "level": "suspected", "level_since": "2026-11-28T13:05:00Z", "level_held": nil, "p_suspect": 0.5}},
		"suspected, and held":        {state.Status{State: state.Unknown, Level: state.LevelSuspected, Since: began, Suspicion: state.Suspicion{On: true, Since: suspected, Held: true}}, map[string]any{"state": "unknown", "held": false, "level": "suspected", "level_since": "2026-11-28T13:05:00Z", "level_held": true, "p_suspect": nil}},
		"an alarm":                   {state.Status{State: state.Abnormal, Level: state.LevelAlarm, Since: began}, map[string]any{"level": "alarm", "level_since": "2026-11-28T13:00:00Z", "level_held": nil}},
		"an alarm that is only held": {state.Status{State: state.Abnormal, Level: state.LevelAlarm, Since: began, Held: true}, map[string]any{"level": "alarm", "held": true, "level_held": true}},
	} {
		d := blank
		d.Status = c.status
		have := published(t, d)
		for key, want := range c.want {
			if have[key] != want {
				t.Errorf("%s: %s is %v, want %v", name, key, have[key], want)
			}
		}
	}
}

// hanging is a state folder on a disk that does not answer until it is released.
type hanging struct {
	durable.Files
	release chan struct{}
}

func (h hanging) Create(name string) (durable.File, error) {
	<-h.release
	return h.Files.Create(name)
}

// silent takes every payload.
type silent struct{}

func (silent) State(message.State, bool) {}
func (silent) Event(message.Event)       {}
func (silent) Health(message.Health)     {}
func (silent) Retain(string, []byte)     {}

// What ends a fault is logged as information, what begins one as a warning.
func TestLevelOfAnOutboxIncident(t *testing.T) {
	var log bytes.Buffer
	r := &Reporter{Settings: Settings{Output: silent{}, Stamper: stamp.At(1, "kernel", stamp.KernelClock{}, "test"), Log: slog.New(slog.NewTextHandler(&log, nil))}}
	for _, c := range []struct{ what, level string }{{"fault", "WARN"}, {"dropped", "WARN"}, {"damaged", "WARN"}, {outbox.Recovered, "INFO"}} {
		log.Reset()
		r.OutboxIncident(outbox.Incident{Class: "disk", What: c.what, Cause: "test"})
		if !strings.Contains(log.String(), "level="+c.level+` msg="outbox incident" subject=disk what=`+c.what) {
			t.Errorf("%s: %s", c.what, log.String())
		}
	}
}

// A disk that hangs holds no decision up; once it answers, the newest state is on it.
func TestDecisionsDoNotWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := hanging{crashfs.New(-1), make(chan struct{})}
		machine := state.New(state.Params{MeanSeconds: 1, Enter: 0.6, Exit: 0.4, HoldSeconds: 1})
		r := New(Settings{
			Output: silent{}, Registry: health.NewRegistry(), Limit: time.Hour, Machine: machine, Files: disk,
			Stamper: stamp.At(1, "kernel", stamp.KernelClock{}, "test"), Log: slog.New(slog.DiscardHandler),
			Model: func() message.ModelName { return message.ModelName{} }, Cause: func() string { return "" }, Dropped: func() uint64 { return 0 },
			Background:      func() *decide.Background { return nil },
			CurrentBaseline: func() *decide.CurrentBaseline { return nil },
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); r.SaveLoop(ctx) }()
		began := time.Now()
		for _, s := range []state.State{state.Warming, state.Normal, state.Abnormal, state.Normal, state.Abnormal} {
			r.Decided(decide.Decision{End: time.Now(), Status: state.Status{State: s}, Alignment: math.NaN(), Surprise: math.NaN(), PCurrent: math.NaN(), PVideo: math.NaN()})
			synctest.Wait()
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("five decisions took %s", took)
		}
		close(disk.release)
		cancel()
		<-ended
		if text, err := durable.ReadFile(disk, stateFile); err != nil || len(text) == 0 {
			t.Errorf("state file: %q, %v", text, err)
		}
	})
}

// Background and baseline of the current are kept with an alarm or a suspicion alone, because a normal
// furnace shall cause no writes; it learns both anew. A furnace without a camera has no background.
func TestBackgroundAndBaselineAreKeptWithAnAlarm(t *testing.T) {
	alarm, suspicion := state.Status{State: state.Abnormal}, state.Status{State: state.Normal, Suspicion: state.Suspicion{On: true}}
	background := &decide.Background{Model: "one", Camera: "here", Values: []byte{1, 2, 3, 4}}
	baseline := &decide.CurrentBaseline{Model: "one", Values: []byte{5, 6, 7, 8}}
	for name, c := range map[string]struct {
		status     state.Status
		background *decide.Background
		baseline   *decide.CurrentBaseline
		after      time.Duration
		want       bool
	}{
		"an alarm":                                 {alarm, background, baseline, time.Minute, true},
		"a suspicion":                              {suspicion, background, baseline, time.Minute, true},
		"a normal furnace":                         {state.Status{State: state.Normal}, background, baseline, time.Minute, false},
		"an alarm of a quarter hour ago":           {alarm, background, baseline, 15 * time.Minute, false},
		"an alarm without a camera":                {alarm, nil, baseline, time.Minute, true},
		"a suspicion without a camera":             {suspicion, nil, baseline, time.Minute, true},
		"an alarm of a model without a baseline":   {alarm, background, nil, time.Minute, true},
		"an alarm without a camera nor a baseline": {alarm, nil, nil, time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := file{disk: crashfs.New(-1), background: c.background, baseline: c.baseline}
				r := f.open()
				now := state.Saved{State: c.status.State, Since: time.Now(), Seen: time.Now(), By: state.Model}
				if c.status.Suspicion.On {
					now.Suspected = time.Now()
				}
				r.Machine.Resume(now, time.Now())
				r.Decided(decide.Decision{End: time.Now(), Status: c.status, Alignment: math.NaN(), Surprise: math.NaN(), PCurrent: math.NaN(), PVideo: math.NaN()})
				r.SaveNow()
				text, err := durable.ReadFile(f.disk, stateFile)
				kept := c.status.State != state.Normal || c.status.Suspicion.On
				for key, want := range map[string]bool{"background": kept && c.background != nil, "current_baseline": kept && c.baseline != nil} {
					if saved := bytes.Contains(text, []byte(`"`+key+`"`)); err != nil || saved != want {
						t.Errorf("the state file is %s, %v", text, err)
					}
				}
				time.Sleep(c.after)
				f.open().Resume()
				wantBackground, wantBaseline := c.background, c.baseline
				if !c.want {
					wantBackground, wantBaseline = nil, nil
				}
				if diff := cmp.Diff(wantBackground, f.resumed); diff != "" {
					t.Errorf("background (-want +have):\n%s", diff)
				}
				if diff := cmp.Diff(wantBaseline, f.resumedBaseline); diff != "" {
					t.Errorf("baseline (-want +have):\n%s", diff)
				}
			})
		})
	}
}

// file is the state folder of an agent that is restarted, and what its decision has and resumes.
type file struct {
	disk            durable.Files
	background      *decide.Background
	baseline        *decide.CurrentBaseline
	resumed         *decide.Background
	resumedBaseline *decide.CurrentBaseline
	refuse          error
	log             bytes.Buffer
}

func (f *file) open() *Reporter {
	return New(Settings{
		Output: silent{}, Registry: health.NewRegistry(), Limit: time.Hour, Files: f.disk,
		Machine: state.New(state.Params{MeanSeconds: 1, Enter: 0.6, Exit: 0.4, HoldSeconds: 1}),
		Stamper: stamp.At(1, "kernel", stamp.KernelClock{}, "test"), Log: slog.New(slog.NewTextHandler(&f.log, nil)),
		Model: func() message.ModelName { return message.ModelName{} }, Cause: func() string { return "" }, Dropped: func() uint64 { return 0 },
		Background:            func() *decide.Background { return f.background },
		ResumeBackground:      func(b decide.Background) error { f.resumed = &b; return f.refuse },
		CurrentBaseline:       func() *decide.CurrentBaseline { return f.baseline },
		ResumeCurrentBaseline: func(b decide.CurrentBaseline) error { f.resumedBaseline = &b; return f.refuse },
	})
}

// A file of an earlier release has a background and no baseline; a damaged part is told, and takes
// nothing else with it.
func TestAlarmIsResumedWhateverStandsBesideIt(t *testing.T) {
	for name, c := range map[string]struct {
		beside string
		refuse error
		log    []string
	}{
		"of an earlier release": {`"background":{"model":"one","camera":"here","values":"AQIDBA=="}`, nil, nil},
		"of a later release":    {`"current_baseline":{"model":"one","values":"AQIDBA=="},"pressure":7`, nil, nil},
		"damaged": {
			`"background":{"values":"AQ=="},"current_baseline":{"values":"AQ=="}`, errors.New("a value that is not finite"),
			[]string{`"alarm resumed without the background of its pictures" err="a value that is not finite"`, `"alarm resumed without the baseline of its current" err="a value that is not finite"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := file{disk: crashfs.New(-1), refuse: c.refuse}
			saved, err := json.Marshal(state.Saved{State: state.Abnormal, Since: time.Now(), Seen: time.Now(), By: state.Model})
			if err != nil {
				t.Fatal(err)
			}
			text := strings.TrimSuffix(string(saved), "}") + "," + c.beside + "}"
			if err := durable.Replace(f.disk, stateFile, []byte(text)); err != nil {
				t.Fatal(err)
			}
			r := f.open()
			r.Resume()
			if r.Machine.Save(time.Now()).State != state.Abnormal {
				t.Error("the alarm is not resumed")
			}
			if got, want := f.resumed != nil, strings.Contains(c.beside, "background"); got != want {
				t.Errorf("background %+v", f.resumed)
			}
			if got, want := f.resumedBaseline != nil, strings.Contains(c.beside, "baseline"); got != want {
				t.Errorf("baseline %+v", f.resumedBaseline)
			}
			for _, want := range c.log {
				if !strings.Contains(f.log.String(), want) {
					t.Errorf("the log lacks %s:\n%s", want, f.log.String())
				}
			}
			if len(c.log) == 0 && f.log.Len() > 0 {
				t.Errorf("the log has %s", f.log.String())
			}
		})
	}
}

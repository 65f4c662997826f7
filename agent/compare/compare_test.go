package compare

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/recorder"
	"meltwatch/agent/recorder/recordertest"
	"meltwatch/agent/state"
	"meltwatch/drivers"
	"meltwatch/durable"
	"meltwatch/inference"
	"meltwatch/simulator/furnace"
	"meltwatch/simulator/scene"
)

// quiet is a model that says abnormal when the current is quiet: under a coefficient of
// variation. Pictures do not concern it.
type quiet struct{ under float64 }

func (quiet) EncodeFrame(context.Context, inference.Frame) (inference.Encoded, error) {
	return inference.Encoded{Tokens: []float32{0}, Background: []float32{0}}, nil
}

func (q quiet) Step(_ context.Context, w inference.Window) (inference.Outputs, error) {
	var steps, sum, n float64
	for i := 3; i < len(w.Current); i += 3 {
		if w.SampleMask[i/3] > 0 && w.SampleMask[i/3-1] > 0 {
			d := float64(w.Current[i] - w.Current[i-3])
			steps, sum, n = steps+max(d, -d), sum+float64(w.Current[i]), n+1
		}
	}
	p := float32(0.1)
	if n > 60 && steps/sum < q.under {
		p = 0.9
	}
	return inference.Outputs{inference.PAbnormal: {p}}, nil
}

func (quiet) Model() (inference.LoadReply, bool) { return inference.LoadReply{SHA256: "x"}, true }

func deciderOf(m decide.Model) *decide.Decider {
	return decide.NewDecider(decide.Settings{
		Manifest: &inference.Manifest{
			Current:  inference.CurrentSpec{RateHz: 2, Samples: 240, Phases: drivers.Phases},
			Video:    inference.VideoSpec{Width: scene.Side, Height: scene.Side, Resize: "area", RateHz: 1, Frames: 16, Tokens: 1, Dim: 1},
			Decision: inference.Decision{MeanSeconds: 10, Enter: 0.6, Exit: 0.4, HoldSeconds: 10, FreezeBackground: 0.5},
		},
		Params: state.Params{MeanSeconds: 10, Enter: 0.6, Exit: 0.4, HoldSeconds: 10}, Timeout: time.Second, Period: 500 * time.Millisecond,
	}, m)
}

// melt becomes abnormal once a window is full.
func melt() furnace.Scenario {
	return furnace.Scenario{Seed: 1, SetPoint: 15000, Segments: []furnace.Segment{
		{State: furnace.Normal, Seconds: 300}, {State: furnace.Ramp, Seconds: 120, Current: furnace.Flat},
		{State: furnace.Abnormal, Seconds: 90}, {State: furnace.Recovery, Seconds: 90}, {State: furnace.Normal, Seconds: 150},
	}}
}

// Two models that differ are compared on simulated melts; the result is kept and read as it
// was, and the table names it.
func TestComparisonOfTwoModels(t *testing.T) {
	if testing.Short() {
		t.Skip("draws pictures of half an hour: left out by -short")
	}
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		labels := recordertest.Record(t, folder, melt(), furnace.Scenario{Segments: []furnace.Segment{{State: furnace.Normal, Seconds: 700}}})
		var steps, last, total int
		c, err := Run(t.Context(), recorder.OpenLibrary(folder), labels, 0, func() (a, b *decide.Decider) {
			return deciderOf(quiet{0.04}), deciderOf(quiet{10})
		}, func(done, of int) {
			if done < last || done > of || total != 0 && of != total {
				t.Errorf("progress %d of %d after %d", done, of, last)
			}
			steps, last, total = steps+1, done, of
		})
		if err != nil {
			t.Fatal(err)
		}
		if steps < 1000 || last != total {
			t.Errorf("%d steps of progress, to %d of %d", steps, last, total)
		}
		a, b := c.InForceSum, c.CandidateSum
		if a.Found != 1 || a.FalseAlarms != 0 || a.DelayMaxS == nil || *a.DelayMaxS < 10 {
			t.Errorf("in force %+v", a)
		}
		// What always alarms finds at once, and raises one alarm in each normal stretch that it
		// reaches before an abnormal one.
		if b.Found != 1 || b.DelayMaxS == nil || *b.DelayMaxS > 1 || b.FalseAlarms == 0 || b.Right >= a.Right {
			t.Errorf("candidate %+v", b)
		}
		if len(c.Differences) < 2 || c.Differences[0].CandidateRight || c.Differences[0].Class != recorder.ClassNormal {
			t.Errorf("differences %+v", c.Differences)
		}
		c.InForce, c.Candidate = Model{"product", "1.0.0", "aaaa"}, Model{"eager", "2.0.0", "bbbb"}
		if err := Write(durable.Folder(folder), c); err != nil {
			t.Fatal(err)
		}
		kept, err := Read(durable.Folder(folder))
		if err != nil || kept.CandidateSum.Right != b.Right || len(kept.Stretches) != len(labels) || kept.Candidate.Name != "eager" {
			t.Errorf("kept %+v, %v", kept, err)
		}
		var table bytes.Buffer
		if err := Table(&table, kept); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"candidate: eager 2.0.0 (bbbb)", "1 of 1", "an hour)", "differ from"} {
			if !strings.Contains(table.String(), want) {
				t.Errorf("the table lacks %q:\n%s", want, table.String())
			}
		}
		if segments, err := recorder.OpenLibrary(folder).Segments(); err != nil || len(segments) < 3 {
			t.Errorf("the recording beside it: %d segments, %v", len(segments), err)
		}
	})
}

// A comparison is impossible without a label, or without its recording, and the reason is
// told.
func TestNothingToCompare(t *testing.T) {
	at := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	run := func(labels ...recorder.Label) error {
		_, err := Run(t.Context(), recorder.OpenLibrary(t.TempDir()), labels, 0, nil, func(int, int) {})
		return err
	}
	if err := run(); !errors.Is(err, ErrNoLabel) {
		t.Errorf("without labels: %v", err)
	}
	if err := run(recorder.Label{ID: "1", Class: recorder.ClassDoubtful, From: at, To: at.Add(time.Hour)}); !errors.Is(err, ErrNoLabel) {
		t.Errorf("doubtful only: %v", err)
	}
	if err := run(recorder.Label{ID: "1", Class: recorder.ClassNormal, From: at, To: at.Add(time.Hour)}); !errors.Is(err, ErrUnrecorded) {
		t.Errorf("not recorded: %v", err)
	}
}

// second is a second of a scorer's test: what is said, from an instant on.
type second struct{ from, to int }

func (s second) has(n int) bool { return n >= s.from && n < s.to }

// scored adds 1,000 seconds in which the first side never alarms and the second does in some
// spans; all are settled.
func scored(labels []recorder.Label, alarms ...second) *Comparison {
	at := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	s := NewScorer(labels)
	for n := range 1000 {
		on := false
		for _, one := range alarms {
			on = on || one.has(n)
		}
		s.Add(at.Add(time.Duration(n)*time.Second), true, false, on)
	}
	return s.Result()
}

func TestScores(t *testing.T) {
	began := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	at := func(n int) time.Time { return began.Add(time.Duration(n) * time.Second) }
	label := func(id string, class recorder.Class, from, onset, to int) recorder.Label {
		l := recorder.Label{ID: id, Class: class, From: at(from), To: at(to)}
		if onset > 0 {
			l.Onset = at(onset)
		}
		return l
	}
	normal, abnormal, doubtful := recorder.ClassNormal, recorder.ClassAbnormal, recorder.ClassDoubtful
	later := label("3", normal, 100, 0, 200)
	later.At = at(5000)
	for name, c := range map[string]struct {
		labels []recorder.Label
		alarms []second
		want   Sum
		delay  float64 // −1 for none
	}{
		"found after the onset":               {[]recorder.Label{label("1", abnormal, 100, 150, 300)}, []second{{170, 280}}, Sum{Seconds: 150, Right: 110, Found: 1}, 20},
		"on before the onset":                 {[]recorder.Label{label("1", abnormal, 100, 150, 300)}, []second{{120, 300}}, Sum{Seconds: 150, Right: 150, Found: 1}, 0},
		"found too late":                      {[]recorder.Label{label("1", abnormal, 100, 150, 300)}, []second{{300, 400}}, Sum{Seconds: 150, Missed: 1}, -1},
		"an onset of its own":                 {[]recorder.Label{label("1", abnormal, 100, 0, 300)}, []second{{130, 300}}, Sum{Seconds: 200, Right: 170, Found: 1}, 30},
		"two false alarms":                    {[]recorder.Label{label("1", normal, 0, 0, 900)}, []second{{10, 20}, {30, 40}}, Sum{Seconds: 900, Right: 880, FalseAlarms: 2, NormalHours: 0.25}, -1},
		"an alarm through two normal ones":    {[]recorder.Label{label("1", normal, 0, 0, 100), label("2", normal, 120, 0, 200)}, []second{{50, 150}}, Sum{Seconds: 180, Right: 100, FalseAlarms: 1, NormalHours: 180. / 3600}, -1},
		"one that outlasts an abnormal one":   {[]recorder.Label{label("1", abnormal, 100, 0, 200), label("2", normal, 200, 0, 400)}, []second{{110, 240}}, Sum{Seconds: 300, Right: 250, Found: 1, NormalHours: 200. / 3600}, 10},
		"one that begins before an abnormal":  {[]recorder.Label{label("1", normal, 0, 0, 100), label("2", abnormal, 100, 0, 200)}, []second{{90, 200}}, Sum{Seconds: 200, Right: 190, Found: 1, FalseAlarms: 1, NormalHours: 100. / 3600}, 0},
		"doubtful counts for nothing":         {[]recorder.Label{label("1", doubtful, 0, 0, 900)}, []second{{10, 20}}, Sum{}, -1},
		"of two labels the one said last":     {[]recorder.Label{later, label("1", abnormal, 150, 0, 180)}, []second{{150, 180}}, Sum{Seconds: 100, Right: 70, FalseAlarms: 1, NormalHours: 100. / 3600}, -1},
		"doubtful within a normal one":        {[]recorder.Label{label("1", normal, 0, 0, 100), {ID: "2", Class: doubtful, From: at(40), To: at(60), At: at(1)}}, []second{{45, 55}}, Sum{Seconds: 80, Right: 80, NormalHours: 80. / 3600}, -1},
		"nothing is labelled where it alarms": {[]recorder.Label{label("1", normal, 0, 0, 100)}, []second{{200, 300}}, Sum{Seconds: 100, Right: 100, NormalHours: 100. / 3600}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			got := scored(c.labels, c.alarms...).CandidateSum
			delay := got.DelayMaxS
			if c.delay < 0 != (delay == nil) || delay != nil && *delay != c.delay {
				t.Errorf("delay %v, want %v", delay, c.delay)
			}
			if perHour := got.FalseAlarmsPerHour; (perHour == nil) != (c.want.NormalHours == 0) {
				t.Errorf("false alarms an hour %v", perHour)
			}
			got.DelayMaxS, got.DelayMedianS, got.FalseAlarmsPerHour = nil, nil, nil
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// Alarms do not reach across a pause, and seconds that are not settled do not count.
func TestPausesAndUnsettledSeconds(t *testing.T) {
	began := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	s := NewScorer([]recorder.Label{{ID: "1", Class: recorder.ClassNormal, From: began, To: began.Add(4 * time.Hour)}})
	for n := range 10 {
		s.Add(began.Add(time.Duration(n)*time.Second), n >= 5, true, true)
	}
	for n := range 10 {
		s.Add(began.Add(3*time.Hour+time.Duration(n)*time.Second), true, false, true)
	}
	c := s.Result()
	if c.InForceSum.FalseAlarms != 1 || c.CandidateSum.FalseAlarms != 2 || c.InForceSum.Seconds != 15 {
		t.Errorf("%+v, %+v", c.InForceSum, c.CandidateSum)
	}
	if len(c.Differences) != 1 || c.Differences[0].To.Sub(c.Differences[0].From) != 10*time.Second {
		t.Errorf("differences %+v", c.Differences)
	}
}

// The lists are bounded, the sums are not.
func TestListsAreBounded(t *testing.T) {
	began := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	var labels []recorder.Label
	for n := range 2 * maxStretches {
		at := began.Add(time.Duration(n) * 10 * time.Second)
		labels = append(labels, recorder.Label{ID: strings.Repeat("<", 59) + string(rune('a'+n%26)) + at.Format("0405"), Class: recorder.ClassNormal, From: at, To: at.Add(2 * time.Second)})
	}
	s := NewScorer(labels)
	for n := range 2 * maxStretches {
		s.Add(began.Add(time.Duration(n)*10*time.Second), true, false, true)
		s.Add(began.Add(time.Duration(n)*10*time.Second+time.Second), true, false, false)
	}
	c := s.Result()
	if len(c.Stretches) != maxStretches || c.StretchesLeftOut != maxStretches || !c.Stretches[maxStretches-1].From.Equal(labels[2*maxStretches-1].From) ||
		len(c.Differences) != maxDifferences || c.DifferencesLeftOut != maxDifferences || c.CandidateSum.Seconds != 4*maxStretches {
		t.Errorf("%d stretches and %d left out, %d differences and %d left out", len(c.Stretches), c.StretchesLeftOut, len(c.Differences), c.DifferencesLeftOut)
	}
	folder := durable.Folder(t.TempDir())
	if err := Write(folder, c); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(folder); err != nil {
		t.Errorf("the largest file is not read again: %v", err)
	}
}

func TestDamagedFileIsTold(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "torn": `{"version": 1, "strea`, "another type": "[]", "of another release": `{"version": 99}`, "null": "null",
		"a difference without a length": `{"version":1,"differences":[{"from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:00:00Z"}]}`,
		"huge":                          strings.Repeat(" ", maxFile+1),
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := Read(durable.Folder(folder)); err == nil || c != nil || !strings.Contains(err.Error(), "paths.recordings: comparison.json: ") {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if c, err := Read(durable.Folder(t.TempDir())); c != nil || err != nil {
		t.Errorf("without a file: %+v, %v", c, err)
	}
}

// FuzzRead checks that no file panics, and that what is read can be shown.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"version":1,"made":"2026-11-28T13:00:00Z","stretches":[{"label":"1","class":"abnormal","in_force":{"found":true,"delay_s":3}}],"in_force_sum":{"seconds":1,"delay_max_s":null},"differences":[{"from":"2026-11-28T13:00:00Z","to":"2026-11-28T13:00:01Z"}]}`))
	f.Add([]byte(`{"version":1,"stretches":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parse(text)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := Table(&out, c); err != nil {
			t.Fatal(err)
		}
		folder := durable.Folder(t.TempDir())
		if err := Write(folder, c); err != nil {
			t.Fatal(err)
		}
	})
}

// Of a stretch whose onset was not compared no delay is known.
func TestDelayCountsFromAnOnsetThatWasCompared(t *testing.T) {
	began := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	s := NewScorer([]recorder.Label{{ID: "1", Class: recorder.ClassAbnormal, From: began, To: began.Add(time.Hour)}})
	for n := range 400 {
		s.Add(began.Add(time.Duration(n)*time.Second), n >= 210, true, n > 300)
	}
	c := s.Result()
	if c.InForceSum.Found != 1 || c.InForceSum.DelayMaxS != nil || c.CandidateSum.Found != 1 || c.CandidateSum.DelayMedianS != nil {
		t.Errorf("%+v, %+v", c.InForceSum, c.CandidateSum)
	}
}

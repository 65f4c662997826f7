package web

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/recorder"
	"meltwatch/durable"
)

// seconds makes decided seconds from a string, the last one at the alarm: "." on the normal
// side, "#" on the abnormal one, "a" abnormal, "w" warming, "-" not recorded, "0" without a
// decision.
func seconds(raised time.Time, text string) (all []recorder.Decided) {
	for i, c := range text {
		s := recorder.Decided{At: raised.Add(time.Duration(i+1-len(text)) * time.Second)}
		s.State.State, s.Source, s.PAbnormal = "normal", "model", 0.1
		switch c {
		case '-':
			continue
		case '#':
			s.PAbnormal = 0.7
		case 'a':
			s.State.State, s.PAbnormal = "abnormal", 0.9
		case 'w':
			s.State.State, s.PAbnormal = "warming", 0.9
		case '0':
			s.Source, s.PAbnormal = "none", 0.9
		}
		all = append(all, s)
	}
	return all
}

func TestOnsetIsTheFirstSecondOfTheRunUp(t *testing.T) {
	raised := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	for text, want := range map[string]int{ // seconds before the alarm; -1 for none
		".....#####a":               5,
		"..#..#####a":               8, // a short dip belongs to it
		"..#....####a":              4, // a long one does not
		"###########a":              11,
		"..........a":               0,
		"aaaaa#####aa":              6, // another alarm before it
		"wwwww#####a":               5,
		"#####------####a":          4, // a gap
		"00000#####a":               5,
		"...........":               -1,
		"":                          -1,
		".#.#.#.#.#.#.#.#.#.#.#.#a": 23,
	} {
		at, found := onset(seconds(raised, text), raised, 0.6)
		if want < 0 {
			if found || !at.Equal(raised) {
				t.Errorf("%s: %s before, found %t", text, raised.Sub(at), found)
			}
			continue
		}
		if got := int(raised.Sub(at) / time.Second); got != want || !found {
			t.Errorf("%s: %d s before, found %t; want %d", text, got, found, want)
		}
	}
}

func TestWithoutAThresholdTheAlarmsOwnInstantIsProposed(t *testing.T) {
	raised := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	if at, found := onset(seconds(raised, "#####a"), raised, 0); found || !at.Equal(raised) {
		t.Errorf("%s, %t", at, found)
	}
}

// The alarms of a stretch come with the proposed onset, or with that of the label.
func TestAlarmsProposeTheirOnset(t *testing.T) {
	f := &furnace{folder: t.TempDir(), began: time.Now().Add(-5 * time.Minute)}
	f.set("normal")
	f.recordAlarms(t)
	hash, err := Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	url, c := serve(t, f, hash), browser(t)
	ask := func() (all []pastAlarm) {
		code, text := do(t, c, "GET", fmt.Sprintf("%s/api/alarms?from=%d&to=%d", url, f.began.Unix()-1, f.began.Unix()+400), "")
		if err := json.Unmarshal([]byte(text), &all); err != nil || code != 200 || len(all) != 3 {
			t.Fatalf("%d %s, %v", code, text, err)
		}
		return all
	}
	for i, a := range ask() {
		if before := a.Raised.Sub(a.Onset); !a.Found || before != runUp*time.Second || a.Cleared.Sub(a.Raised) != 30*time.Second || a.Label != nil || a.Why == "" || i > 0 && a.ID != fmt.Sprintf("7-%d", 3-i) {
			t.Errorf("%+v: onset %s before", a, before)
		}
	}
	logIn(t, c, url)
	one := ask()[1]
	labelled, err := json.Marshal([]recorder.Label{{Alarm: one.ID, Class: recorder.ClassAbnormal, From: one.Onset, To: one.Cleared, Onset: one.Onset.Add(2 * time.Second)}})
	if err != nil {
		t.Fatal(err)
	}
	if code, text := do(t, c, "POST", url+"/api/labels", string(labelled)); code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	if again := ask()[1]; again.Label == nil || !again.Onset.Equal(one.Onset.Add(2*time.Second)) || again.Label.By != "Li" {
		t.Errorf("%+v", again)
	}
	for _, query := range []string{"", "?from=1&to=0", "?from=0&to=9999999999"} {
		if code, _ := do(t, c, "GET", url+"/api/alarms"+query, ""); code < 400 || code >= 500 {
			t.Errorf("%q: %d", query, code)
		}
	}
}

// recordAlarms writes three alarms, each with a run-up, and no pictures.
func (f *furnace) recordAlarms(t *testing.T) {
	t.Helper()
	r := recorder.New(recorder.Settings{
		Files: durable.Folder(f.folder), MaxBytes: 1 << 30, MaxAge: time.Hour,
		Wall: func(t time.Time) time.Time { return t.UTC().Round(0) }, Log: slog.New(slog.DiscardHandler), Observer: nothing{},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	for n := range 300 {
		at := f.began.Add(time.Duration(n) * time.Second)
		s := message.State{Stamp: message.Stamp{Time: at.UTC()}, State: "normal", Source: "model", PAbnormal: 0.1}
		switch phase := n % 100; {
		case phase >= 50 && phase < 80:
			s.State, s.PAbnormal = "abnormal", 0.98
		case phase >= 50-runUp && phase < 50:
			s.PAbnormal = 0.8
		}
		r.Second(recorder.Second{Decided: at, State: s})
		if n%100 == 50 || n%100 == 80 {
			e := message.Event{Stamp: message.Stamp{Time: at.UTC()}, Kind: "alarm", Subject: fmt.Sprintf("7-%d", n/100+1), To: "raised", Cause: "The video sees it."}
			if n%100 == 80 {
				e.From, e.To = "raised", "cleared"
			}
			r.Event(e)
		}
		time.Sleep(time.Millisecond) // the queue is bounded
	}
	cancel()
	<-ended
}

// An alarm that lasts, and marks in any order or without sense, harm nothing.
func TestAlarmsOfOddMarks(t *testing.T) {
	at := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	mark := func(s int, kind, id, to string) recorder.Mark {
		return recorder.Mark{At: at.Add(time.Duration(s) * time.Second), Kind: kind, Subject: id, To: to}
	}
	all := alarmsOf([]recorder.Summary{{Marks: []recorder.Mark{
		mark(0, "alarm", "1", "cleared"), mark(1, "alarm", "2", "raised"), mark(2, "alarm", "2", "acknowledged"), mark(3, "alarm", "2", "raised"),
		mark(4, "mark", "2", "cleared"), mark(-900, "alarm", "3", "raised"), mark(5, "alarm", "", ""),
	}}, {Marks: []recorder.Mark{mark(9, "alarm", "2", "cleared"), mark(10, "alarm", "4", "raised")}}}, at.Add(-time.Minute), at.Add(time.Minute))
	if len(all) != 2 || all[0].ID != "4" || !all[0].Cleared.IsZero() || all[1].ID != "2" || all[1].Cleared.Sub(all[1].Raised) != 8*time.Second {
		t.Errorf("%+v", all)
	}
}

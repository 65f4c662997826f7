package demo

import (
	"strings"
	"testing"
	"time"

	"meltwatch/simulator/furnace"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }

// play tells a score one state a second; alarms are the seconds in which the
// state is abnormal, the melt's onset is at 150 s and it is over at 450 s.
func play(first, alarmFrom, alarmTo, end int) *score {
	s := &score{started: begin}
	for i := range end {
		t := truth{at: at(i), sound: i < 150 || i >= 450}
		if i >= 150 {
			t.onset = at(150)
		}
		s.learn(t)
		state := "normal"
		switch {
		case i < first:
			state = "unknown"
		case i >= alarmFrom && i < alarmTo:
			state = "abnormal"
		}
		s.observe(arrival{at: at(i), state: state, decided: i >= first, latency: time.Duration(i) * time.Millisecond})
	}
	return s
}

func TestScore(t *testing.T) {
	for name, c := range map[string]struct {
		first, from, to, end int
		fault                string
	}{
		"all is well":                    {30, 210, 400, 480, ""},
		"no verdict in the first minute": {70, 210, 400, 480, "no verdict within 1m0s"},
		"onset found too late":           {30, 260, 400, 480, "not found within 1m40s"},
		"onset never found":              {30, 900, 900, 480, "not found within 1m40s"},
		"false alarm before the onset":   {30, 100, 120, 480, "1 false alarms"},
		"false alarm after the melt":     {30, 460, 470, 480, "1 false alarms"},
		"cut short before anything due":  {30, 900, 900, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := play(c.first, c.from, c.to, c.end)
			got := strings.Join(s.faults(at(c.end)), "; ")
			if c.fault == "" && got != "" || !strings.Contains(got, c.fault) {
				t.Errorf("faults %q, want %q", got, c.fault)
			}
		})
	}
}

// The last line begins with the result, and holds each figure with its bound.
func TestLastLineBeginsWithTheResult(t *testing.T) {
	for name, c := range map[string]struct {
		alarmFrom int
		printed   string
		fault     string
	}{
		"kept":   {210, "demo: PASS: first verdict 30 s (at most 60), ", ""},
		"broken": {300, "", "the onset was not found within 1m40s; first verdict 30 s (at most 60), "},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := conclude(&subscriber{score: play(30, c.alarmFrom, 400, 480)}, &out)
			if c.fault == "" && err != nil || err != nil && !strings.HasPrefix(err.Error(), c.fault) || err == nil && c.fault != "" {
				t.Errorf("%v", err)
			}
			if !strings.HasPrefix(out.String(), c.printed) || c.printed == "" && out.Len() > 0 || strings.Count(out.String(), "\n") > 1 {
				t.Errorf("printed %q", out.String())
			}
		})
	}
}

// A demo of five minutes shows an alarm for minutes.
func TestShortDemosBecomeAbnormalEarly(t *testing.T) {
	for seconds, early := range map[int]bool{120: true, 240: true, 300: true, 301: false, 480: false} {
		melt := Options{Seconds: seconds}.scenario()
		var before float64
		for _, s := range melt.Segments {
			if s.State == furnace.Abnormal {
				break
			}
			before += s.Seconds
		}
		if lasts := float64(seconds) - before; early != (before <= 60) || early && seconds >= 240 && lasts-foundWithin.Seconds() < 60 {
			t.Errorf("%d s: abnormal after %.0f s", seconds, before)
		}
	}
}

func TestSummaryCarriesTheFigures(t *testing.T) {
	s := play(30, 210, 400, 480)
	s.messages = 7
	for _, want := range []string{"first verdict 30 s (at most 60)", "onset at 150 s", "onset found after 60 s (at most 100)", "0 false alarms (at most 0)", "7 messages", "p50 239ms p95 455ms"} {
		if !strings.Contains(s.summary(), want) {
			t.Errorf("summary %q lacks %q", s.summary(), want)
		}
	}
}

package demo

import (
	"strings"
	"testing"
	"time"
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

func TestSummaryCarriesTheFigures(t *testing.T) {
	s := play(30, 210, 400, 480)
	s.messages = 7
	for _, want := range []string{"first verdict 30 s", "onset 150 s", "found 60 s after it", "0 false alarms", "7 messages", "p50 239ms p95 455ms"} {
		if !strings.Contains(s.summary(), want) {
			t.Errorf("summary %q lacks %q", s.summary(), want)
		}
	}
}

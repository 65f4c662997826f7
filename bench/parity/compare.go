package parity

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"meltwatch/agent/message"
	"meltwatch/percentile"
)

const (
	// settledAfter is how many seconds from a change of the label either side may still be
	// undecided: the window of current is as long.
	settledAfter = 120
	// leastAgreement is the share of the other seconds in which both sides must agree.
	leastAgreement = 0.99
)

// offlineMelt is the result of offline evaluation, a value for each second since the
// melt's start.
type offlineMelt struct {
	P        []float64 `json:"p"`
	Decided  []bool    `json:"decided"`
	Abnormal []bool    `json:"abnormal"`
	Label    []int     `json:"label"` // 1 abnormal, 0 normal, −1 not scored
}

func (m offlineMelt) check(seconds int) error {
	for _, n := range []int{len(m.P), len(m.Decided), len(m.Abnormal), len(m.Label)} {
		if n != seconds {
			return fmt.Errorf("offline evaluation: %d values of a melt of %d s", n, seconds)
		}
	}
	return nil
}

// liveSecond is the agent's decision of one second; without a message source is empty.
type liveSecond struct {
	p        float64
	source   string
	abnormal bool
}

// onSeconds assigns the agent's messages to the seconds since start, each to the one
// nearest to the end of its window. Of two messages for one second the nearer stays, of
// two for one window the later, which corrects the first.
func onSeconds(states []message.State, start time.Time, seconds int) []liveSecond {
	live, away := make([]liveSecond, seconds), make([]float64, seconds)
	for _, s := range states {
		at := s.Time.Sub(start).Seconds()
		i := int(math.Round(at))
		if i < 0 || i >= seconds {
			continue
		}
		if d := math.Abs(at - float64(i)); live[i].source == "" || d <= away[i] {
			live[i], away[i] = liveSecond{p: s.PAbnormal, source: s.Source, abnormal: s.State == "abnormal"}, d
		}
	}
	return live
}

// comparison counts a melt's seconds, from the first on for which both sides have a
// verdict.
type comparison struct {
	from                        int
	all, settled                stateCount
	normal, abnormal, notScored stateCount
	settledNormal               int // of settled
	settledAbnormal             int
	silent                      int // seconds without a live message
	otherwise                   int // seconds that the agent decided without the model
}

// stateCount sums over some seconds.
type stateCount struct {
	seconds, same int // same: both abnormal, or neither
	// Of the seconds in which the model decided on both sides:
	decided              int
	live, offline, apart float64 // p of either side, and their distance
	furthest             float64 // of the distances
	// Of those, the scored ones, and where p is on the label's side of one half.
	scored, liveRight, offlineRight int
}

func (t *stateCount) add(live liveSecond, p float64, abnormal bool, label int, decided bool) {
	t.seconds++
	// A silent second agrees with no offline decision.
	if live.source != "" && live.abnormal == abnormal {
		t.same++
	}
	if live.source != "model" || !decided {
		return
	}
	t.decided++
	t.live += live.p
	t.offline += p
	t.apart += math.Abs(live.p - p)
	t.furthest = max(t.furthest, math.Abs(live.p-p))
	if label < 0 {
		return
	}
	t.scored++
	if (live.p >= 0.5) == (label == 1) {
		t.liveRight++
	}
	if (p >= 0.5) == (label == 1) {
		t.offlineRight++
	}
}

// compare needs a live second for each offline one.
func compare(live []liveSecond, offline offlineMelt) (c comparison) {
	for c.from < len(live) && (!offline.Decided[c.from] || live[c.from].source == "" || live[c.from].source == "none") {
		c.from++
	}
	near := nearChange(offline.Label, settledAfter)
	for i := c.from; i < len(live); i++ {
		label := offline.Label[i]
		groups := []*stateCount{&c.all, map[int]*stateCount{0: &c.normal, 1: &c.abnormal, -1: &c.notScored}[label]}
		if !near[i] {
			groups = append(groups, &c.settled)
			switch label {
			case 0:
				c.settledNormal++
			case 1:
				c.settledAbnormal++
			}
		}
		for _, t := range groups {
			t.add(live[i], offline.P[i], offline.Abnormal[i], label, offline.Decided[i])
		}
		switch live[i].source {
		case "":
			c.silent++
		case "model":
		default:
			c.otherwise++
		}
	}
	return c
}

// nearChange marks the seconds that are at most reach seconds from a change of the
// label.
func nearChange(label []int, reach int) []bool {
	near := make([]bool, len(label))
	for i := 1; i < len(label); i++ {
		if label[i] == label[i-1] {
			continue
		}
		for k := max(i-reach, 0); k <= min(i+reach, len(label)-1); k++ {
			near[k] = true
		}
	}
	return near
}

// fault returns an error if the sides disagree or the melt was too short to tell.
func (c comparison) fault() error {
	if c.settledNormal == 0 || c.settledAbnormal == 0 {
		return fmt.Errorf("%d normal and %d abnormal seconds further than %d s from a change of the label: too few to tell",
			c.settledNormal, c.settledAbnormal, settledAfter)
	}
	if found := share(c.settled.same, c.settled.seconds); found < leastAgreement {
		return fmt.Errorf("live and offline agree on %.2f %% of the seconds further than %d s from a change of the label, want %g %%",
			100*found, settledAfter, 100*leastAgreement)
	}
	return nil
}

func share(part, of int) float64 { return float64(part) / float64(max(of, 1)) }

// report prints the comparison.
func (o Options) report(out io.Writer, states []message.State, melt servedMelt, found comparison) error {
	var b strings.Builder
	model := message.ModelName{}
	var latencies, corrections []float64
	for _, s := range states {
		if s.Source == "model" {
			model = s.Model
			latencies = append(latencies, s.LatencyMS)
			corrections = append(corrections, math.Abs(s.ClockCorrectionS))
		}
	}
	fmt.Fprintf(&b, "One melt (%g minutes, onsets: %d, seed %d), live through Modbus, H.264 over RTSP, decoding and the agent, "+
		"and offline from its data set. Model %s %s; compared from second %d on, when both had a verdict.\n\n",
		o.Minutes, o.Episodes, o.Seed, model.Name, model.Version, found.from)
	fmt.Fprint(&b, "| seconds | | same state | mean p, live | offline | mean distance of p | longest | p on the label's side of ½, live | offline |\n"+
		"|---|---|---|---|---|---|---|---|---|\n")
	for _, row := range []struct {
		name string
		stateCount
	}{
		{"all", found.all},
		{fmt.Sprintf("**further than %d s from a change of the label**", settledAfter), found.settled},
		{"labelled normal", found.normal}, {"labelled abnormal", found.abnormal}, {"not scored", found.notScored},
	} {
		t := row.stateCount
		n := float64(max(t.decided, 1))
		right := "| | |"
		if t.scored > 0 {
			right = fmt.Sprintf("| %.2f %% | %.2f %% |", 100*share(t.liveRight, t.scored), 100*share(t.offlineRight, t.scored))
		}
		fmt.Fprintf(&b, "| %s | %d | %.2f %% | %.4f | %.4f | %.4f | %.4f %s\n",
			row.name, t.seconds, 100*share(t.same, t.seconds), t.live/n, t.offline/n, t.apart/n, t.furthest, right)
	}
	fmt.Fprintf(&b, "\n- passed if at least %g %% of the far seconds have the same state; of them %d are normal and %d abnormal\n", 100*leastAgreement, found.settledNormal, found.settledAbnormal)
	fmt.Fprintf(&b, "- seconds without a live message: %d (they count as unlike); not decided by the model: %d\n", found.silent, found.otherwise)
	fmt.Fprintf(&b, "- from the window's end to the verdict: median %.0f ms, p95 %.0f ms\n", percentile.Of(latencies, 50), percentile.Of(latencies, 95))
	fmt.Fprintf(&b, "- frames, 25 a second, that a busy machine kept the simulator from drawing in time: %d\n", melt.SkippedFrames)
	if most := percentile.Of(corrections, 100); most > 0 {
		fmt.Fprintf(&b, "- the agent shifted the video against the current by %.2f s at most; offline judging does not shift it\n", most)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

package decide

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/state"
	"meltwatch/drivers"
	"meltwatch/inference"
)

// lateMeter are senses whose meter answers late, so that there is time between the encoding ahead
// and the decision.
var lateMeter = map[string]senses{
	"a picture a second":   {period: 500 * time.Millisecond, delay: 100 * time.Millisecond, interval: time.Second, framePhase: 800 * time.Millisecond, lag: 30 * time.Millisecond},
	"25 pictures a second": {period: 500 * time.Millisecond, delay: 100 * time.Millisecond, interval: frames25, lag: 15 * time.Millisecond},
	"bursts":               {period: 500 * time.Millisecond, delay: 100 * time.Millisecond, interval: frames25, bursts: true, framePhase: 300 * time.Millisecond, lag: 10 * time.Millisecond},
}

// marking is a counting model whose tokens tell which model encoded them, and whose verdict
// depends on them.
type marking struct {
	*counting
	encoded map[string][]float32 // numbers of the frames that each model encoded
	foreign int                  // frames of another model that a window held
}

func newMarking(r *recording, sha256 string) *marking {
	m := &marking{counting: newCounting(r), encoded: map[string][]float32{}}
	m.sha256 = sha256
	mark := func() float32 { return float32(len(m.sha256)) }
	number := m.tokens
	m.tokens = func(f inference.Frame) []float32 {
		n := number(f)[0]
		m.encoded[m.sha256] = append(m.encoded[m.sha256], n)
		return []float32{n, mark()}
	}
	m.more = func(w inference.Window) inference.Outputs {
		p := float32(0)
		for slot, mask := range w.FrameMask {
			if n, by := w.Tokens[2*slot], w.Tokens[2*slot+1]; mask == 1 {
				p += (n + by) / 10_000
				if by != mark() {
					m.foreign++
				}
			}
		}
		return inference.Outputs{inference.PAbnormal: {p}}
	}
	return m
}

// replacement is a loop whose model is replaced by another one while it runs.
type replacement struct {
	loop        *Loop
	live, other *marking
	replace     func()
	// at is when the model was replaced, after the loop's start; frame had been encoded ahead then, its
	// Number is 0 if none had.
	at       time.Time
	after    time.Duration
	frame    drivers.Frame
	decided  []arrival[Decision]
	compared []Comparison // with a shadow
}

// replacements are the ways in which another model takes the place of the live one.
var replacements = map[string]func(*replacement){
	"by its shadow": func(p *replacement) {
		p.other = newMarking(&recording{}, "second")
		p.loop.Shadow(deciderFor(senses{period: 500 * time.Millisecond}, p.other), func(c Comparison) { p.compared = append(p.compared, c) })
		p.replace = func() { p.loop.Swap() }
	},
	"in its child": func(p *replacement) {
		p.other = p.live
		p.replace = func() { p.live.sha256 = "second" }
	},
}

// replaceAfterEncoding runs a loop, and replaces its model as soon as a picture is encoded ahead
// after a minute.
func replaceAfterEncoding(t *testing.T, s senses, way func(*replacement)) *replacement {
	t.Helper()
	return replaceModel(t, s, way, func(v *relay) Video { return asking{v} }, time.Minute, func(ahead drivers.Frame) bool { return ahead.Number > 0 })
}

// replaceWithoutEncoding runs the same loop, and replaces its model at the same instant. Each second
// waits for its picture, so none is encoded ahead.
func replaceWithoutEncoding(t *testing.T, s senses, way func(*replacement), after time.Duration) *replacement {
	t.Helper()
	return replaceModel(t, s, way, func(v *relay) Video { return silent{v} }, after, func(drivers.Frame) bool { return true })
}

func replaceModel(t *testing.T, s senses, way func(*replacement), video func(*relay) Video, after time.Duration, ready func(ahead drivers.Frame) bool) *replacement {
	t.Helper()
	p := &replacement{}
	synctest.Test(t, func(t *testing.T) {
		r := &recording{}
		p.live = newMarking(r, "one")
		p.loop = NewLoop(deciderFor(s, p.live), video(&relay{r: r, every: 200 * time.Millisecond}), r.note)
		way(p)
		var running sync.WaitGroup
		began := time.Now()
		running.Go(func() { s.run(t.Context(), r, p.loop, 90*time.Second) })
		time.Sleep(after)
		for replaced := false; !replaced; time.Sleep(10 * time.Millisecond) {
			if err := p.loop.Do(t.Context(), func() {
				ahead := p.loop.pending.ahead
				if replaced = ready(ahead); replaced {
					p.at, p.after, p.frame = time.Now(), time.Since(began), ahead
					p.replace()
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		running.Wait()
		p.decided = r.decided
	})
	return p
}

// since returns the seconds that were decided after the replacement.
func (p *replacement) since() (all []Decision) {
	for _, d := range p.decided {
		if d.at.After(p.at) {
			all = append(all, d.value)
		}
	}
	return all
}

// A model that takes the place of another one between the encoding ahead and the decision of a
// second encodes the picture itself, and its own time is counted.
func TestModelThatIsReplacedAfterEncodingAheadLeavesNoToken(t *testing.T) {
	for camera, s := range lateMeter {
		for name, way := range replacements {
			t.Run(camera+", "+name, func(t *testing.T) {
				p := replaceAfterEncoding(t, s, way)
				number := float32(p.frame.Number)
				if !slices.Contains(p.live.encoded["one"], number) {
					t.Fatalf("the old model has not encoded frame %v", number)
				}
				if !slices.Contains(p.other.encoded["second"], number) {
					t.Errorf("the new model has not encoded frame %v", number)
				}
				if n := p.live.foreign + p.other.foreign; n > 0 {
					t.Errorf("models were given %d frames that another one had encoded", n)
				}
				first := p.since()[0]
				if first.Fault != nil || first.Verdict.Source != state.Model || !slices.ContainsFunc(first.FrameTimes, p.frame.Time.Equal) {
					t.Errorf("decided by %s (%v) with frames of %s, want that of %s too", first.Verdict.Source, first.Fault, first.FrameTimes, p.frame.Time)
				}
				for _, c := range p.compared {
					if c.Live.End.Equal(first.End) && c.LiveTook != encodeTakes {
						t.Errorf("the new model took %s, want the %s of its own encoding", c.LiveTook, encodeTakes)
					}
				}
			})
		}
	}
}

// The verdicts of the new model are those of a loop that encodes nothing ahead.
func TestModelThatIsReplacedAfterEncodingAheadDecidesAsWithoutIt(t *testing.T) {
	s := lateMeter["a picture a second"] // of a quicker camera, a second may use another picture
	for name, way := range replacements {
		t.Run(name, func(t *testing.T) {
			p := replaceAfterEncoding(t, s, way)
			without := replaceWithoutEncoding(t, s, way, p.after)
			if !without.at.Equal(p.at) || without.frame.Number > 0 {
				t.Fatalf("replaced at %s and %s, frame %d was encoded ahead", p.at, without.at, without.frame.Number)
			}
			got, want := p.since(), without.since()
			if len(want) < 25 || len(got) < len(want) {
				t.Fatalf("%d seconds, %d without encoding ahead", len(got), len(want))
			}
			for i, w := range want {
				if g := got[i]; !g.End.Equal(w.End) || g.Fault != nil || g.Verdict.Source != w.Verdict.Source || g.Verdict.P != w.Verdict.P {
					t.Fatalf("second %d, which ends at %s: %v by %s (%v), want that of %s: %v by %s",
						i, g.End, g.Verdict.P, g.Verdict.Source, g.Fault, w.End, w.Verdict.P, w.Verdict.Source)
				}
			}
		})
	}
}

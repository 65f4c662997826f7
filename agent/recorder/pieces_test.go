package recorder

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/drivers"
	"meltwatch/durable"
)

// reel records seconds of a furnace in a state, seen by a camera of a status.
func reel(t *testing.T, folder string, parts ...message.State) (began []time.Time) {
	t.Helper()
	running(t, settings(durable.Folder(folder), &observed{}), func(r *Recorder) {
		number := uint64(0)
		for _, part := range parts {
			began = append(began, time.Now())
			for range int(part.LatencyMS) { // stands for its seconds
				now := time.Now()
				number++
				for k := range 2 {
					r.Sample(drivers.Sample{Time: now.Add(time.Duration(k) * 500 * time.Millisecond), Current: [3]float64{1, 2, 3}})
				}
				if part.State != "" {
					r.Second(Second{Decided: now, State: part, Frame: drivers.Frame{Time: now.Add(-100 * time.Millisecond), Number: number, Width: 2, Height: 2, Pixels: make([]byte, 12)}})
				}
				time.Sleep(time.Second)
			}
		}
	})
	return append(began, time.Now())
}

func seconds(n int, state, video string) message.State {
	return message.State{State: state, Senses: message.Senses{Current: "ok", Video: video}, LatencyMS: float64(n)}
}

// What a model must not learn from is left out: a furnace that is off, a camera that is black
// or frozen, and stretches of which nobody said anything.
func TestExportLeavesOutWhatTeachesNothing(t *testing.T) {
	folder, out := t.TempDir(), filepath.Join(t.TempDir(), "data")
	synctest.Test(t, func(t *testing.T) {
		at := reel(t, folder, seconds(200, "normal", "ok"), seconds(200, "off", "ok"), seconds(200, "normal", "ok"), seconds(200, "normal", "black"),
			seconds(200, "abnormal", "ok"), seconds(200, "unknown", "frozen"), seconds(200, "normal", "ok"), seconds(20, "", ""), seconds(135, "normal", "ok"))
		l := OpenLibrary(folder)
		var labels []Label
		for _, n := range []int{0, 1, 2, 3, 4, 5, 8} {
			labels = append(labels, Label{ID: string(rune('a' + n)), Class: ClassNormal, From: at[n], To: at[n+1].Add(-time.Second)})
		}
		labels[4].Class = ClassAbnormal
		done, err := Export(l, labels, at[0], time.Now(), out, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(done) != 3 || done[0].Frames < 195 || done[1].Frames < 195 || done[2].Abnormal < 195 || done[0].Labelled < 195 {
			t.Fatalf("exported %+v", done)
		}
		for i, s := range done {
			if n := []int{0, 2, 4}[i]; s.From.Before(at[n].Add(-time.Second)) || s.To.After(at[n+1]) {
				t.Errorf("stretch %d is %s to %s, want %s to %s", i, s.From, s.To, at[n], at[n+1])
			}
		}
		// Without any label everything is exported that has pictures to learn from.
		done, err = Export(l, nil, at[0], time.Now(), out+"-all", false)
		if err != nil || len(done) != 4 {
			t.Errorf("without labels: %+v, %v", done, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := ExportContext(ctx, l, labels, at[0], time.Now(), out+"-cut", false); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v", err)
		}
		if _, err := os.Stat(out + "-cut"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an interrupted export left its folder: %v", err)
		}
	})
}

// classes sums the scored seconds of a data set's splits.
func classes(done []Stretch) map[string][2]int {
	sum := map[string][2]int{}
	for _, s := range done {
		one := sum[s.Split]
		sum[s.Split] = [2]int{one[0] + s.Labelled - s.Abnormal, one[1] + s.Abnormal}
	}
	return sum
}

// Each split has both classes whenever the labels allow it, however they lie in the
// recording.
func TestSplitsHaveBothClasses(t *testing.T) {
	const minute = 60
	type said struct {
		class    Class
		from, to int // seconds
	}
	for name, c := range map[string]struct {
		lasts  int
		labels []said
		lacks  bool
	}{
		"three alarms of one long stretch": {70 * minute, []said{{ClassNormal, 0, 600}, {ClassAbnormal, 600, 700}, {ClassNormal, 800, 1500}, {ClassAbnormal, 1600, 1700},
			{ClassNormal, 2000, 2500}, {ClassAbnormal, 3000, 3100}, {ClassNormal, 3200, 4000}}, false},
		"alarms, and normal work elsewhere": {60 * minute, []said{{ClassAbnormal, 200, 300}, {ClassAbnormal, 700, 800}, {ClassAbnormal, 1300, 1400}, {ClassNormal, 2000, 3500}}, false},
		"six alarms": {100 * minute, []said{{ClassAbnormal, 200, 300}, {ClassAbnormal, 900, 1000}, {ClassAbnormal, 1800, 1900}, {ClassAbnormal, 2900, 3000}, {ClassAbnormal, 3900, 4000},
			{ClassAbnormal, 5000, 5100}, {ClassNormal, 300, 900}, {ClassNormal, 1000, 1800}, {ClassNormal, 2000, 2900}, {ClassNormal, 3000, 3900}, {ClassNormal, 4000, 5000}, {ClassNormal, 5200, 6000}}, false},
		"one alarm is not cut":                   {20 * minute, []said{{ClassAbnormal, 300, 900}, {ClassNormal, 0, 300}}, true},
		"alarms that lie too close for a window": {20 * minute, []said{{ClassAbnormal, 300, 320}, {ClassAbnormal, 330, 350}, {ClassAbnormal, 360, 380}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && c.lasts > 20*minute {
				t.Skip("hours of recording: left out by -short")
			}
			folder, out := t.TempDir(), filepath.Join(t.TempDir(), "data")
			synctest.Test(t, func(t *testing.T) {
				at := reel(t, folder, seconds(c.lasts, "normal", "ok"))
				var labels []Label
				for n, one := range c.labels {
					labels = append(labels, Label{ID: string(rune('a' + n)), Class: one.class, From: at[0].Add(time.Duration(one.from) * time.Second), To: at[0].Add(time.Duration(one.to) * time.Second)})
				}
				done, err := Export(OpenLibrary(folder), labels, at[0], time.Now(), out, false)
				if err != nil {
					t.Fatal(err)
				}
				sum, lacks := classes(done), false
				for _, split := range []string{"train", "val", "test"} {
					lacks = lacks || sum[split][0] == 0 || sum[split][1] == 0
				}
				if lacks != c.lacks {
					t.Errorf("seconds of both classes: %v", sum)
				}
				named := map[string]bool{}
				for _, split := range []string{"train", "val", "test"} {
					text, err := os.ReadFile(filepath.Join(out, split+".json"))
					var names []string
					if err != nil && split != "val" || err == nil && json.Unmarshal(text, &names) != nil {
						t.Errorf("%s: %s, %v", split, text, err)
					}
					for _, one := range names {
						if named[one] || !slices.ContainsFunc(done, func(s Stretch) bool { return s.Name == one && s.Split == split }) {
							t.Errorf("%s names %s", split, one)
						}
						named[one] = true
					}
				}
				if len(named) != len(done) {
					t.Errorf("%d of %d batches are in a split", len(named), len(done))
				}
				for i, s := range done {
					if s.To.Sub(s.From) > maxStretch || s.To.Sub(s.From) < minStretch || i > 0 && s.From.Before(done[i-1].To) {
						t.Errorf("batch %s to %s", s.From, s.To)
					}
					// No episode lies in two batches.
					for _, l := range labels {
						if l.Class == ClassAbnormal && l.From.After(s.From) != l.To.After(s.From) || l.Class == ClassAbnormal && l.From.Before(s.To) && l.To.After(s.To.Add(2*time.Second)) {
							t.Errorf("batch %s to %s cuts %s to %s", s.From, s.To, l.From, l.To)
						}
					}
				}
			})
		})
	}
}

// Of several labels the one that was said last holds, whenever it begins.
func TestLastWordHolds(t *testing.T) {
	at := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	first := Label{ID: "1", Class: ClassNormal, From: at, To: at.Add(time.Hour), At: at.Add(5 * time.Hour)}
	second := Label{ID: "2", Class: ClassAbnormal, From: at.Add(10 * time.Minute), To: at.Add(20 * time.Minute), Onset: at.Add(12 * time.Minute), At: at.Add(4 * time.Hour)}
	s := Stretch{From: at, To: at.Add(30 * time.Minute)}
	if table := string(labelTable(&s, []Label{first, second}, false)); strings.Contains(table, ",1,") || s.Labelled != 30*60+1 {
		t.Errorf("%d labelled, %d abnormal", s.Labelled, s.Abnormal)
	}
	second.At = at.Add(6 * time.Hour)
	s = Stretch{From: at, To: at.Add(30 * time.Minute)}
	table := strings.Split(string(labelTable(&s, []Label{first, second}, false)), "\n")
	if s.Abnormal != 8*60 || table[1+11*60] != "660,-1," || table[1+12*60] != "720,1,720" || table[1+20*60] != "1200,0," {
		t.Errorf("%d abnormal: %q, %q", s.Abnormal, table[1+11*60], table[1+12*60])
	}
}

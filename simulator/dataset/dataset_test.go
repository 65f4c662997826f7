package dataset

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"meltwatch/simulator/furnace"
)

func options(dir string) Options {
	return Options{Dir: dir, Batches: 4, Seconds: 900, Seed: 3, FPS: 1, Life: furnace.Mixed, Reroll: 1, Train: 0.5, Val: 0.25, Workers: 2}
}

func write(t *testing.T, o Options) index {
	t.Helper()
	if err := Write(t.Context(), o, func(int, int, time.Duration) {}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(o.Dir, "dataset.json"))
	if err != nil {
		t.Fatal(err)
	}
	var x index
	if err := json.Unmarshal(text, &x); err != nil {
		t.Fatal(err)
	}
	return x
}

func rows(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return list[1:]
}

func TestArraysTablesAndIndexAgree(t *testing.T) {
	o := options(t.TempDir())
	x := write(t, o)
	if len(x.Batches) != o.Batches {
		t.Fatalf("index holds %d batches", len(x.Batches))
	}
	for _, b := range x.Batches {
		video, err := os.ReadFile(filepath.Join(o.Dir, "videos", b.Name+".npy"))
		if err != nil {
			t.Fatal(err)
		}
		shape := "'shape': (" + strconv.Itoa(b.Frames) + ", 3, 64, 64)"
		if head := string(video[:npyHeader]); !strings.Contains(head, shape) || head[127] != '\n' || head[8] != 118 {
			t.Errorf("%s: header %q lacks %s", b.Name, head, shape)
		}
		if want := npyHeader + b.Frames*3*side*side; len(video) != want {
			t.Errorf("%s: %d bytes of video, want %d", b.Name, len(video), want)
		}
		mask, err := os.Stat(filepath.Join(o.Dir, "videos", b.Name+"_mask.npy"))
		if err != nil || mask.Size() != int64(npyHeader+b.Frames*side*side) {
			t.Errorf("%s: mask %v %v", b.Name, mask, err)
		}
		if n := len(rows(t, filepath.Join(o.Dir, "timestamps", b.Name+".csv"))); n != b.Frames {
			t.Errorf("%s: %d stamps for %d frames", b.Name, n, b.Frames)
		}
		if n := len(rows(t, filepath.Join(o.Dir, "labels", b.Name+".csv"))); n != o.Seconds {
			t.Errorf("%s: %d labels, want %d", b.Name, n, o.Seconds)
		}
		for _, r := range b.Records {
			checkStamps(t, rows(t, filepath.Join(o.Dir, "currents", r.Name+".csv")), r)
		}
	}
}

// checkStamps holds the samples to time order, 2 Hz and the record's delay.
func checkStamps(t *testing.T, list [][]string, r record) {
	t.Helper()
	if len(list) < 1600 || len(list) > 1800 {
		t.Errorf("%s: %d samples in 900 s", r.Name, len(list))
	}
	last := -1.0
	for _, row := range list {
		at, err := strconv.ParseFloat(row[0], 64)
		if err != nil || at <= last {
			t.Fatalf("%s: stamp %q after %v", r.Name, row[0], last)
		}
		last = at
		if grid := (at - r.CurrentDelay) * 2; grid-float64(int(grid+0.5)) > 0.4 {
			t.Fatalf("%s: stamp %v is off the grid", r.Name, at)
		}
	}
}

func TestBatchesAreSplitWholeAndOnce(t *testing.T) {
	o := options(t.TempDir())
	write(t, o)
	seen := map[string]string{}
	for _, part := range []string{"train", "val", "test"} {
		text, err := os.ReadFile(filepath.Join(o.Dir, part+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		if err := json.Unmarshal(text, &list); err != nil || len(list) == 0 {
			t.Fatalf("%s: %v %v", part, list, err)
		}
		for _, name := range list {
			if seen[name] != "" {
				t.Errorf("%s is in %s and %s", name, seen[name], part)
			}
			seen[name] = part
		}
	}
	if len(seen) != o.Batches {
		t.Errorf("%d batches dealt of %d", len(seen), o.Batches)
	}
}

func TestTheSameSeedWritesTheSameFiles(t *testing.T) {
	a, b := options(t.TempDir()), options(t.TempDir())
	a.Batches, b.Batches, b.Workers = 2, 2, 1
	write(t, a)
	write(t, b)
	for _, name := range []string{"videos/batch-0001.npy", "videos/batch-0001_mask.npy", "currents/batch-0000_r1.csv", "labels/batch-0000.csv", "dataset.json"} {
		x, err := os.ReadFile(filepath.Join(a.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(b.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x, y) {
			t.Errorf("%s differs", name)
		}
	}
}

func TestRerolledCurrentsDifferUnderTheSameCourse(t *testing.T) {
	o := options(t.TempDir())
	o.Batches = 1
	x := write(t, o)
	a, b := x.Batches[0].Records[0], x.Batches[0].Records[1]
	first := rows(t, filepath.Join(o.Dir, "currents", a.Name+".csv"))
	second := rows(t, filepath.Join(o.Dir, "currents", b.Name+".csv"))
	if first[10][1] == second[10][1] {
		t.Error("rerolled current equals the first")
	}
	feeding := func(list [][]string) (n int) {
		for _, row := range list {
			if row[5] == "1" {
				n++
			}
		}
		return n
	}
	// The crew's work belongs to the scenario; gaps may cost a few samples.
	if p, q := feeding(first), feeding(second); p-q > 40 || q-p > 40 {
		t.Errorf("%d samples of feeding, rerolled %d", p, q)
	}
}

func TestEveryPictureMeetsEveryCurrent(t *testing.T) {
	o := options(t.TempDir())
	o.Pictures, o.Currents = []string{"metal", "scene", "plates"}, []string{"arcs", "regimes"}
	o.Batches, o.Seconds, o.Reroll = 12, 3, 2
	times := map[string]int{}
	for _, b := range write(t, o).Batches {
		times[b.Picture+"+"+b.Records[0].Current]++
		for k, r := range b.Records[1:] {
			if r.Current == b.Records[k].Current {
				t.Errorf("%s: record %d repeats the current %s of the one before", b.Name, k+1, r.Current)
			}
		}
	}
	for _, picture := range o.Pictures {
		for _, current := range o.Currents {
			if n := times[picture+"+"+current]; n != 2 {
				t.Errorf("%s with %s in %d of 12 batches, want 2: %v", picture, current, n, times)
			}
		}
	}
}

func TestTheOwnFamilyInTurnLooksAsItDoesAlone(t *testing.T) {
	alone, turn := options(t.TempDir()), options(t.TempDir())
	alone.Batches, alone.Seconds, alone.Reroll = 2, 60, 0
	turn.Batches, turn.Seconds, turn.Reroll = 2, 60, 0
	turn.Pictures, turn.Currents = []string{"scene", "metal"}, []string{"arcs", "regimes"}
	write(t, alone)
	write(t, turn)
	for name, equal := range map[string]bool{
		"videos/batch-0000.npy": true, "currents/batch-0000.csv": true, "labels/batch-0000.csv": true, "labels/batch-0001.csv": true,
		"videos/batch-0001.npy": false,
	} {
		x, err := os.ReadFile(filepath.Join(alone.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(turn.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(x, y) != equal {
			t.Errorf("%s: equal is %v, want %v", name, !equal, equal)
		}
	}
}

func TestWritingStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Write(ctx, options(t.TempDir()), func(int, int, time.Duration) {}); err == nil {
		t.Error("a cancelled data set reports no error")
	}
}

func TestOptionsThatCannotWorkAreNamed(t *testing.T) {
	for _, c := range []struct {
		fact, want string
		spoil      func(*Options)
	}{
		{"no batch", "batches", func(o *Options) { o.Batches = 0 }},
		{"odd frame rate", "fps: 7", func(o *Options) { o.FPS = 7 }},
		{"shares above one", "train and val", func(o *Options) { o.Train, o.Val = 0.9, 0.2 }},
		{"unknown life", "life", func(o *Options) { o.Life = "wild" }},
		{"unknown picture among known", "oil", func(o *Options) { o.Pictures = []string{"metal", "oil"} }},
		{"unknown current among known", "water", func(o *Options) { o.Currents = []string{"arcs", "water"} }},
		{"several melts of one scenario", "batches", func(o *Options) { o.Scenario, o.Seconds = furnace.Demo(), 60 }},
		{"longer than its scenario", "seconds: the scenario is over after 600", func(o *Options) {
			o.Scenario, o.Batches, o.Reroll, o.Seconds = furnace.Demo(), 1, 0, 900
		}},
	} {
		o := options("")
		c.spoil(&o)
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not name %q", c.fact, err, c.want)
		}
	}
}

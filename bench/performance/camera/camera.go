// Package camera measures what a recent picture of a camera costs: the agent's camera child,
// a program that decodes every frame with gocv, ffmpeg as Frigate runs it, and ffmpeg that
// decodes key frames alone.
package camera

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"meltwatch/bench/performance/figures"
	"meltwatch/bench/rig"
	"meltwatch/percentile"
	"meltwatch/simulator/serve"
)

// Options are the programs that are compared.
type Options struct {
	Programs rig.Programs
	Every    string // the program that decodes every frame
	Folder   string // holds the clips
	Brief    bool   // a fifth of the time, to see that it works
}

const (
	// settle is how long a viewer runs before it is watched, once it holds a picture: ours
	// learns the camera's groups of pictures over their first five.
	settle = 8 * time.Second
	watch  = 5 * time.Second
	// ask is how often the age of the newest picture is noted, as often as the agent asks.
	ask = 200 * time.Millisecond
)

// Measure makes one round: each viewer alone, another one first in each round.
func (o Options) Measure(ctx context.Context, n int) (figures.Round, error) {
	if _, err := os.Stat(o.Every); err != nil {
		return nil, fmt.Errorf("%w: build it with make bench", err)
	}
	into := figures.Round{}
	list := viewers()
	for _, s := range sizes() {
		path, err := film(ctx, filepath.Join(o.Folder, "clips"), s)
		if err != nil {
			return nil, err
		}
		for i := range list {
			v := list[(i+n)%len(list)]
			if err := o.view(ctx, path, s, v, into); err != nil {
				return nil, fmt.Errorf("%s at %s: %w", v.name, s.name, err)
			}
		}
	}
	return into, nil
}

// times are when each picture of the clip was sent last.
type times struct {
	mu   sync.Mutex
	sent [pictures]time.Time
}

func (t *times) note(picture int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent[picture] = time.Now()
}

// age is how long ago a picture was sent; known is false for one that never was.
func (t *times) age(picture int) (age time.Duration, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if picture < 0 || picture >= pictures || t.sent[picture].IsZero() {
		return 0, false
	}
	return time.Since(t.sent[picture]), true
}

func (o Options) view(ctx context.Context, path string, s size, v viewer, into figures.Round) (err error) {
	t := &times{}
	clip, err := serve.PlayClip(ctx, path, perSecond, t.note)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clip.Close()) }()
	r, err := v.start(ctx, o, clip.URL(), s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	for deadline := time.Now().Add(30 * time.Second); r.newest() < 0; {
		if time.Now().After(deadline) {
			return errors.New("no picture for 30 s")
		}
		if err := rig.Pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	if err := rig.Pause(ctx, settle); err != nil {
		return err
	}
	return o.watch(ctx, r, t, into, s.name+" "+v.name)
}

func (o Options) watch(ctx context.Context, r running, t *times, into figures.Round, name string) error {
	pid, err := r.pid()
	if err != nil {
		return err
	}
	before, err := rig.CPUTime(pid)
	if err != nil {
		return err
	}
	length := watch
	if o.Brief {
		length /= 5
	}
	var ages []time.Duration
	began := time.Now()
	for time.Since(began) < length {
		if err := rig.Pause(ctx, ask); err != nil {
			return err
		}
		if age, known := t.age(r.newest()); known {
			ages = append(ages, age)
		}
	}
	after, err := rig.CPUTime(pid)
	if err != nil {
		return err
	}
	memory, err := rig.ReadUsage(pid)
	if err != nil {
		return err
	}
	into[name+" core"] = 100 * float64(after-before) / float64(time.Since(began))
	into[name+" PSS"] = float64(memory.Share) / 1e6
	into[name+" age p50"] = float64(percentile.Of(ages, 50)) / float64(time.Millisecond)
	into[name+" age p95"] = float64(percentile.Of(ages, 95)) / float64(time.Millisecond)
	return nil
}

// Tables are what the page tells of the part.
func Tables() (tables []figures.Table) {
	for _, s := range sizes() {
		most := map[string]float64{"720p25": 3, "1080p25": 5}[s.name]
		table := figures.Table{
			Title: s.name,
			Text: fmt.Sprintf("Ten seconds of the simulated furnace in a loop, H.264 at %sbit/s with a key frame each second. The age is that of the newest picture "+
				"that the viewer holds, asked for five times a second. The limit is ffmpeg with `-skip_frame nokey`.", s.bits),
		}
		for _, peer := range []struct{ name, what string }{{"every", "gocv, every frame"}, {"frigate", "ffmpeg as Frigate runs it"}} {
			row := func(what, unit, figure string, bound figures.Bound) {
				table.Rows = append(table.Rows, figures.Row{
					What: what + ", beside " + peer.what, Unit: unit, Bound: bound,
					Ours: s.name + " ours " + figure, Peer: s.name + " " + peer.name + " " + figure, Limit: s.name + " key " + figure,
				})
			}
			row("share of a core", "%", "core", figures.AtMost(figures.Value, most))
			row("age of the newest picture, p50", "ms", "age p50", figures.Bound{})
			row("… p95", "ms", "age p95", figures.Bound{})
			row("memory (PSS)", "MB", "PSS", figures.Bound{})
		}
		tables = append(tables, table)
	}
	return tables
}

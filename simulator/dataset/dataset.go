// Package dataset writes furnace records as a data set to train and score on, in
// the layout of the published FMF-Benchmark V2 with some additions:
//
//	videos/B.npy       uint8 (T, 3, W, H): one crop a frame, channels R, G, B
//	videos/B_mask.npy  uint8 (T, W, H): 1 where the hot spot can be seen
//	timestamps/B.csv   time                                one row a frame
//	currents/B.csv     time,a,b,c,set_point,feeding,exhaust,manual    at 2 Hz
//	currents/B_rN.csv  the same scenario with other currents, see Options.Reroll
//	labels/B.csv       time,severity,label,state,onset     at 1 Hz
//	truth/R.csv        time,kind,near_normal,hidden        at 1 Hz, R = B or B_rN
//	train.json, val.json, test.json   lists of batch names
//	dataset.json       how it was made, each batch's and record's family, and clock offset
//
// Times are seconds from the batch's start, currents amperes. Labels stand in
// the furnace's own time; the stamps of frames and samples are what a box beside
// it would write: one of the two senses is delayed by up to 3 s, polls jitter,
// the meter's clock drifts, and either sense has gaps, so T differs from batch to
// batch and rows are missing. label is 1 abnormal, 0 normal, −1 not scored;
// onset is when the running episode began, empty outside one.
//
// Batches are split whole: windows of one batch overlap and would leak.
package dataset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"meltwatch/simulator/families"
	"meltwatch/simulator/furnace"
	"meltwatch/simulator/house"
)

// Options say what to write.
type Options struct {
	Dir     string
	Batches int
	Seconds int    // of each batch
	Seed    uint64 // the same seed and sizes give the same files
	FPS     int    // frames a second
	Life    furnace.Life
	// Scenario, where it has segments, takes the place of Life: the one batch is
	// then the melt that package serve shows for this scenario and seed, and its
	// senses are neither delayed nor do their clocks drift.
	Scenario furnace.Scenario
	// Reroll is how many further current records each batch gets: the same states,
	// labels and video, with other noise, set-point and kinds of abnormal current. They
	// keep a network from memorising a batch's current. The flame in the video follows
	// the first record only.
	Reroll int
	// Pictures names the families of the pictures, which the batches take in turn. Currents
	// names those of the records: the first record of a batch takes them in turn each time
	// that the pictures have gone round, so that every pair comes up, and a batch's further
	// records take the next. Empty for the simulator's own.
	Pictures []string
	Currents []string
	// Train and Val are the shares of batches in either part; the rest is test.
	Train, Val float64
	Workers    int
}

// Progress is called after each batch.
type Progress func(done, total int, spent time.Duration)

// Check returns an error for each invalid option.
func (o Options) Check() error {
	var faults []error
	if o.Batches < 1 || o.Seconds < 1 || o.FPS < 1 || o.Workers < 1 || o.Reroll < 0 {
		faults = append(faults, errors.New("batches, seconds, fps and workers must be at least 1, reroll at least 0"))
	}
	if 50%max(o.FPS, 1) != 0 {
		faults = append(faults, fmt.Errorf("fps: %d does not divide 50, the furnace's own steps a second", o.FPS))
	}
	if !(o.Train >= 0 && o.Val >= 0 && o.Train+o.Val <= 1) {
		faults = append(faults, fmt.Errorf("train and val: invalid shares %v and %v: their sum is at most 1", o.Train, o.Val))
	}
	switch o.Life {
	case furnace.Mixed, furnace.NormalLife, furnace.Shift, furnace.Hard:
	default:
		faults = append(faults, fmt.Errorf("life: %q is not mixed, normal, shift or hard", o.Life))
	}
	for _, name := range o.Pictures {
		_, err := families.Camera(name, house.Setting{})
		faults = append(faults, err)
	}
	for _, name := range o.Currents {
		_, err := families.Circuit(name, house.Setting{})
		faults = append(faults, err)
	}
	if o.scripted() {
		faults = append(faults, o.Scenario.Validate())
		if o.Batches != 1 || o.Reroll != 0 {
			faults = append(faults, errors.New("batches and reroll: a scenario is one melt: use 1 batch and no reroll"))
		}
		if length := o.Scenario.Seconds(); float64(o.Seconds) > length {
			faults = append(faults, fmt.Errorf("seconds: the scenario is over after %v", length))
		}
	}
	return errors.Join(faults...)
}

func (o Options) scripted() bool { return len(o.Scenario.Segments) > 0 }

// Write writes the data set into a new or empty folder. It stops between batches if ctx
// ends.
func Write(ctx context.Context, o Options, progress Progress) error {
	if err := o.Check(); err != nil {
		return err
	}
	for _, sub := range []string{"videos", "currents", "timestamps", "labels", "truth"} {
		if err := os.MkdirAll(filepath.Join(o.Dir, sub), 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	batches := plan(o)
	if o.scripted() {
		batches[0] = served(o, batches[0])
	}
	if err := writeBatches(ctx, o, batches, progress); err != nil {
		return err
	}
	return writeIndex(o, batches)
}

// batch is one melt of the data set.
type batch struct {
	Name  string `json:"name"`
	Split string `json:"split"`
	// Picture is the family of the picture; empty for the simulator's own.
	Picture string   `json:"picture,omitempty"`
	Frames  int      `json:"frames"`
	Records []record `json:"records"`
	// Scored and Abnormal count the labelled seconds.
	Scored   int `json:"scored_s"`
	Abnormal int `json:"abnormal_s"`

	video, timeline uint64 // seeds
}

// plan names the batches, draws their seeds and divides them into the splits.
func plan(o Options) []batch {
	r := rand.New(rand.NewPCG(o.Seed, 17))
	batches := make([]batch, o.Batches)
	for i := range batches {
		batches[i] = batch{Name: fmt.Sprintf("batch-%04d", i), Split: "test", video: r.Uint64(), timeline: r.Uint64()}
		round := i
		if n := len(o.Pictures); n > 0 {
			batches[i].Picture, round = o.Pictures[i%n], i/n
		}
		for k := range 1 + o.Reroll {
			batches[i].Records = append(batches[i].Records, drawRecord(r, batches[i].Name, k))
			if n := len(o.Currents); n > 0 {
				batches[i].Records[k].Current = o.Currents[(round+k)%n]
			}
		}
	}
	train, val := int(o.Train*float64(o.Batches)+0.5), int((o.Train+o.Val)*float64(o.Batches)+0.5)
	for place, i := range r.Perm(o.Batches) {
		switch {
		case place < train:
			batches[i].Split = "train"
		case place < val:
			batches[i].Split = "val"
		}
	}
	return batches
}

// served returns the batch with the seeds of the melt that package serve shows.
func served(o Options, b batch) batch {
	b.video, b.timeline = o.Seed, o.Seed
	b.Records = []record{{Name: b.Name, electric: o.Seed, clock: o.Seed}}
	return b
}

func writeBatches(ctx context.Context, o Options, batches []batch, progress Progress) error {
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(o.Workers)
	finished := make(chan struct{}, len(batches))
	reported := make(chan struct{})
	go func() {
		defer close(reported)
		done := 0
		for range finished {
			done++
			progress(done, len(batches), time.Since(start))
		}
	}()
	for i := range batches {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := writeBatch(o, &batches[i]); err != nil {
				return fmt.Errorf("write %s: %w", batches[i].Name, err)
			}
			finished <- struct{}{}
			return nil
		})
	}
	err := group.Wait()
	close(finished)
	<-reported
	return err
}

// index is dataset.json.
type index struct {
	Format int          `json:"format"`
	Seed   uint64       `json:"seed"`
	Life   furnace.Life `json:"life"`
	// Scenario is the name of the scenario that took the place of life.
	Scenario string `json:"scenario,omitempty"`
	Seconds  int    `json:"seconds"`
	FPS      int    `json:"fps"`
	Reroll   int    `json:"reroll"`
	// VideoAxes and MaskAxes name the arrays' axes in order.
	VideoAxes string  `json:"video_axes"`
	MaskAxes  string  `json:"mask_axes"`
	Width     int     `json:"width"`
	Height    int     `json:"height"`
	RateHz    float64 `json:"current_rate_hz"`
	Batches   []batch `json:"batches"`
}

func writeIndex(o Options, batches []batch) error {
	for _, part := range []string{"train", "val", "test"} {
		list := []string{}
		for _, b := range batches {
			if b.Split == part {
				list = append(list, b.Name)
			}
		}
		if err := writeJSON(filepath.Join(o.Dir, part+".json"), list); err != nil {
			return err
		}
	}
	return writeJSON(filepath.Join(o.Dir, "dataset.json"), index{
		Format: 1, Seed: o.Seed, Life: o.Life, Scenario: o.Scenario.Name, Seconds: o.Seconds, FPS: o.FPS, Reroll: o.Reroll,
		VideoAxes: "T,C,W,H", MaskAxes: "T,W,H", Width: side, Height: side, RateHz: 1 / furnace.Period, Batches: batches,
	})
}

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	return nil
}

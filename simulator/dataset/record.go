package dataset

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"meltwatch/simulator/families"
	"meltwatch/simulator/furnace"
	"meltwatch/simulator/house"
	"meltwatch/simulator/scene"
)

const side = scene.Side

// record is one current record, and its clock relative to the video's.
type record struct {
	Name string `json:"name"`
	// Current is the family of the current; empty for the simulator's own.
	Current string `json:"current,omitempty"`
	// SetPoint in amperes.
	SetPoint float64 `json:"set_point"`
	// CurrentDelay is how late the samples' stamps are, in seconds; VideoDelay,
	// the same for all records of a batch, how late the frames'.
	CurrentDelay float64 `json:"current_delay_s"`
	VideoDelay   float64 `json:"video_delay_s"`
	// DriftPPM is how much faster than the video's the meter's clock runs.
	DriftPPM float64 `json:"drift_ppm"`

	electric, clock uint64 // seeds
}

// The senses' clocks.
const (
	delayLongest = 3.0 // seconds
	driftMost    = 50.0
	jitterSpread = 0.035 // of a poll, in seconds, cut at jitterMost
	jitterMost   = 0.1
	frameJitter  = 0.01
)

// drawRecord draws the k-th record of a batch. The sense that is delayed
// alternates by chance; a video's delay is drawn with the first record.
func drawRecord(r *rand.Rand, name string, k int) record {
	if k > 0 {
		name = fmt.Sprintf("%s_r%d", name, k)
	}
	rec := record{Name: name, electric: r.Uint64(), clock: r.Uint64(), DriftPPM: driftMost * (2*r.Float64() - 1)}
	delay := delayLongest * r.Float64()
	if r.IntN(2) == 0 {
		rec.CurrentDelay = delay
	} else if k == 0 {
		rec.VideoDelay = delay
	}
	return rec
}

// build sets up the furnace of one record of the batch.
func build(o Options, b *batch, rec *record) (*furnace.Furnace, error) {
	scenario := o.Scenario
	if !o.scripted() {
		scenario = furnace.Draw(o.Life, float64(o.Seconds), b.timeline, rec.electric, b.video)
	}
	melt := furnace.NewBatch(b.video, rec.electric)
	circuit, err := families.Circuit(cmp.Or(rec.Current, families.Arcs), house.Setting{Seed: rec.electric, SetPoint: melt.SetPoint})
	if err != nil {
		return nil, err
	}
	f := furnace.NewInHouse(scenario, melt, rec.electric, b.video, circuit)
	rec.SetPoint = f.Batch().SetPoint
	return f, nil
}

// camera draws crops.
type camera func(s furnace.State, pixels, mask []byte)

func newCamera(b *batch, f *furnace.Furnace) (camera, error) {
	other, err := families.Camera(cmp.Or(b.Picture, families.Scene), house.Setting{Seed: b.video, SetPoint: f.Batch().SetPoint})
	if err != nil {
		return nil, err
	}
	if other == nil {
		return scene.New(f.Batch()).Crop, nil
	}
	return func(s furnace.State, pixels, mask []byte) { other.Crop(s.View(), pixels, mask) }, nil
}

// writeBatch writes every file of one batch and fills in its counts.
func writeBatch(o Options, b *batch) error {
	for k := range b.Records {
		rec := &b.Records[k]
		rec.VideoDelay = b.Records[0].VideoDelay
		f, err := build(o, b, rec)
		if err != nil {
			return err
		}
		w := &writer{options: o, batch: b, record: rec, furnace: f, clock: rand.New(rand.NewPCG(rec.clock, 19))}
		if err := w.run(k == 0); err != nil {
			return err
		}
	}
	return nil
}

// writer steps once through a furnace and writes its senses and truth.
type writer struct {
	options Options
	batch   *batch
	record  *record
	furnace *furnace.Furnace
	clock   *rand.Rand

	currents, stamps, labels, truth *table
	video, mask                     *npyFile
	crop                            camera
	pixels, spot, turned, flipped   []byte
	last                            furnace.PLC
}

func (w *writer) run(withVideo bool) (err error) {
	if err := w.open(withVideo); err != nil {
		return errors.Join(err, w.close())
	}
	defer func() { err = errors.Join(err, w.close()) }()
	const perSecond = 50
	frame, poll := perSecond/w.options.FPS, int(furnace.Period*perSecond)
	step := frame
	for step > 1 && (poll%step != 0 || perSecond%step != 0) {
		step--
	}
	for n := 0; n < w.options.Seconds*perSecond; n += step {
		s := w.furnace.AdvanceTo(float64(n) / perSecond)
		if n%poll == 0 {
			w.sample(s)
		}
		if n%perSecond == 0 {
			w.label(n/perSecond, s, withVideo)
		}
		if withVideo && n%frame == 0 {
			if err := w.frame(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) open(withVideo bool) (err error) {
	path := func(kind, suffix string) string {
		return filepath.Join(w.options.Dir, kind, w.record.Name+suffix)
	}
	if w.currents, err = createTable(path("currents", ".csv"), "time,a,b,c,set_point,feeding,exhaust,manual"); err != nil {
		return err
	}
	if w.truth, err = createTable(path("truth", ".csv"), "time,kind,near_normal,hidden"); err != nil || !withVideo {
		return err
	}
	if w.labels, err = createTable(path("labels", ".csv"), "time,severity,label,state,onset"); err != nil {
		return err
	}
	if w.stamps, err = createTable(path("timestamps", ".csv"), "time"); err != nil {
		return err
	}
	if w.video, err = createNPY(path("videos", ".npy"), 3, side, side); err != nil {
		return err
	}
	if w.crop, err = newCamera(w.batch, w.furnace); err != nil {
		return err
	}
	w.pixels, w.spot = make([]byte, 3*side*side), make([]byte, side*side)
	w.turned, w.flipped = make([]byte, 3*side*side), make([]byte, side*side)
	w.mask, err = createNPY(path("videos", "_mask.npy"), side, side)
	return err
}

// close closes every file and returns the write errors.
func (w *writer) close() error {
	var faults []error
	for _, t := range []*table{w.currents, w.truth, w.labels, w.stamps} {
		if t != nil {
			faults = append(faults, t.close())
		}
	}
	for _, n := range []*npyFile{w.video, w.mask} {
		if n != nil {
			faults = append(faults, n.close())
		}
	}
	return errors.Join(faults...)
}

// sample writes one poll of the meter, except in a gap.
func (w *writer) sample(s furnace.State) {
	jitter := min(max(jitterSpread*w.clock.NormFloat64(), -jitterMost), jitterMost)
	if !s.Faults.MeterStuck {
		w.last = s.PLC
	}
	if s.Faults.MeterGap {
		return
	}
	t := s.Time*(1+w.record.DriftPPM*1e-6) + w.record.CurrentDelay + jitter
	p := w.last
	w.currents.number(t, 3)
	for _, c := range p.Current {
		w.currents.number(float64(c), 1)
	}
	w.currents.number(float64(p.SetPoint), 0)
	w.currents.flag(p.Feeding)
	w.currents.flag(p.Exhaust)
	w.currents.flag(p.Manual)
	w.currents.end()
}

// label writes one second of truth.
func (w *writer) label(second int, s furnace.State, withVideo bool) {
	k := s.Truth
	w.truth.number(float64(second), 0)
	w.truth.text(string(k.Kind))
	w.truth.flag(k.NearNormal)
	w.truth.flag(k.Hidden)
	w.truth.end()
	if !withVideo {
		return
	}
	w.labels.number(float64(second), 0)
	w.labels.number(k.Severity, 4)
	w.labels.number(float64(k.Label), 0)
	w.labels.text(string(k.State))
	if k.Episode > 0 {
		w.labels.number(k.Onset, 2)
	} else {
		w.labels.text("")
	}
	w.labels.end()
	switch k.Label {
	case furnace.BurningOver:
		w.batch.Abnormal++
		w.batch.Scored++
	case furnace.SoundShell:
		w.batch.Scored++
	}
}

// frame writes one frame and its mask; a frozen camera repeats its last one.
func (w *writer) frame(s furnace.State) error {
	if s.Faults.CameraGap {
		return nil
	}
	if !s.Faults.CameraFrozen || w.video.items == 0 {
		w.crop(s, w.pixels, w.spot)
		transpose(w.turned, w.flipped, w.pixels, w.spot)
	}
	w.stamps.number(s.Time+w.record.VideoDelay+frameJitter*w.clock.Float64(), 3)
	w.stamps.end()
	w.batch.Frames++
	return errors.Join(w.video.append(w.turned), w.mask.append(w.flipped))
}

// transpose puts row-major pixels into the published order: channel, column, row.
func transpose(video, mask, pixels, spot []byte) {
	for y := range side {
		for x := range side {
			from, to := y*side+x, x*side+y
			mask[to] = spot[from]
			for c := range 3 {
				video[c*side*side+to] = pixels[3*from+c]
			}
		}
	}
}

// table writes rows of comma-separated values. The buffer keeps write errors until
// close.
type table struct {
	file *os.File
	out  *bufio.Writer
	row  []byte
}

func createTable(path, header string) (*table, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create table: %w", err)
	}
	t := &table{file: file, out: bufio.NewWriter(file)}
	t.text(header)
	t.end()
	return t, nil
}

func (t *table) number(v float64, decimals int) {
	t.row = append(strconv.AppendFloat(t.row, v, 'f', decimals, 64), ',')
}

func (t *table) flag(v bool) {
	if v {
		t.text("1")
	} else {
		t.text("0")
	}
}

func (t *table) text(s string) { t.row = append(append(t.row, s...), ',') }

// end completes a row.
func (t *table) end() {
	t.row[len(t.row)-1] = '\n'
	_, _ = t.out.Write(t.row)
	t.row = t.row[:0]
}

func (t *table) close() error {
	if err := errors.Join(t.out.Flush(), t.file.Close()); err != nil {
		return fmt.Errorf("finish table: %w", err)
	}
	return nil
}

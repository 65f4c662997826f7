package recorder

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"slices"
	"strings"
	"time"

	"meltwatch/agent/message"
	"meltwatch/drivers"
	"meltwatch/durable"
)

// writer writes segments. Run owns it.
type writer struct {
	Settings
	ring *ring

	file    durable.File // of the open segment; nil without one
	opened  time.Time    // by the monotonic clock: the wall clock may be set
	summary Summary      // of the open segment
	written uint64

	// What the disk does not have yet.
	pending              bytes.Buffer // whole entries
	current, states, evs bytes.Buffer
	began                time.Time // of the records in the three
	lost                 uint64
	unwritten            uint64 // records that a failing disk would cost

	lastFrame time.Time
	lastState string
	keepUntil time.Time
	keepFor   string
}

func openWriter(s Settings) (*writer, error) {
	ring, err := openRing(s)
	if err != nil {
		return nil, err
	}
	w := &writer{Settings: s, ring: ring}
	w.keepUntil, w.keepFor = ring.keptUntil()
	return w, nil
}

func (w *writer) note(at time.Time) {
	w.unwritten++
	if w.began.IsZero() {
		w.began = at
	}
	if w.summary.From.IsZero() || at.Before(w.summary.From) && w.summary.From.Sub(at) < time.Minute {
		w.summary.From = at
	}
	if at.After(w.summary.To) {
		w.summary.To = at
	}
}

func (w *writer) sample(s drivers.Sample) {
	w.note(s.Time)
	appendSample(&w.current, s)
	w.summary.Samples++
	if s.Missing == "" {
		w.summary.minute(s.Time).sample(s)
	}
}

func (w *writer) second(s Second) {
	w.note(s.Decided)
	line := Decided{At: s.Decided, Frame: s.Frame.Number, Stream: s.Frame.Stream, State: s.State}
	if s.Frame.Number > 0 {
		line.FrameTime = &s.Frame.Time
	}
	if err := appendLine(&w.states, line); err != nil {
		w.lost++
		return
	}
	w.summary.minute(s.Decided).second(s.State)
	if s.State.State != w.lastState {
		w.lastState = s.State.State
		w.summary.States = append(w.summary.States, Change{s.Decided, s.State.State})
	} else if len(w.summary.States) == 0 {
		w.summary.States = append(w.summary.States, Change{w.summary.From, s.State.State})
	}
	if s.State.State == "abnormal" {
		w.keep(s.Decided, "alarm")
	}
	if s.Frame.Number > 0 && s.Frame.Time.After(w.lastFrame) {
		w.lastFrame = s.Frame.Time
		if data, err := encodeCrop(s.Frame); err == nil {
			w.picture(Crop, s.Frame.Time, data)
		} else {
			w.lost++
		}
	}
}

// encodeCrop is the frame as PNG, which loses nothing: a replay sees what the model saw.
func encodeCrop(f drivers.Frame) ([]byte, error) {
	if len(f.Pixels) != 3*f.Width*f.Height {
		return nil, errors.New("the frame's pixels do not match its size")
	}
	picture := image.NewNRGBA(image.Rect(0, 0, f.Width, f.Height))
	for i := range f.Width * f.Height {
		copy(picture.Pix[4*i:], f.Pixels[3*i:3*i+3])
		picture.Pix[4*i+3] = 0xff
	}
	var data bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&data, picture)
	return data.Bytes(), err
}

func (w *writer) picture(kind Kind, at time.Time, data []byte) {
	if len(data) == 0 || len(data) > maxEntry || appendEntry(&w.pending, kind, at, data) != nil {
		w.lost++
		return
	}
	w.note(at)
	w.summary.Pictures++
}

func (w *writer) event(e message.Event) {
	w.note(e.Time)
	if appendLine(&w.evs, e) != nil {
		w.lost++
		return
	}
	const most = 1000 // a flood of events must not fill the summary
	if len(w.summary.Marks) < most {
		w.summary.Marks = append(w.summary.Marks, Mark{e.Time, e.Kind, e.Subject, e.From, e.To, e.Cause})
	}
	if fault := e.Kind == "sense" && e.From == "ok"; fault || e.Kind == "mark" {
		w.keep(e.Time, strings.TrimSpace(e.Kind+" "+e.Subject))
	}
}

// keep keeps what was recorded before and after an instant.
func (w *writer) keep(at time.Time, reason string) {
	if w.summary.Keep == "" {
		w.summary.Keep = reason
		if w.ring != nil {
			w.ring.keepFrom(at.Add(-keepAround), reason)
		}
	}
	w.keepUntil, w.keepFor = at.Add(keepAround), reason
	w.summary.KeepUntil = w.keepUntil
}

// flush makes what was recorded durable, and begins another segment if it is time.
func (w *writer) flush() error {
	chunks := []struct {
		kind Kind
		data *bytes.Buffer
	}{{Current, &w.current}, {State, &w.states}, {Events, &w.evs}}
	for _, c := range chunks {
		if c.data.Len() == 0 {
			continue
		}
		if err := appendEntry(&w.pending, c.kind, w.began, c.data.Bytes()); err != nil {
			return err
		}
		c.data.Reset()
	}
	w.began = time.Time{}
	if w.pending.Len() == 0 {
		return w.ring.enforce()
	}
	if w.file == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	n, err := w.file.Write(w.pending.Bytes())
	w.summary.Bytes += int64(n)
	w.written += uint64(n)
	w.ring.open = w.summary.Bytes
	if err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("recorder.folder: %w", err)
	}
	w.pending.Reset()
	w.unwritten = 0
	if w.summary.Keep == "" && w.summary.To.Before(w.keepUntil) {
		w.summary.Keep = w.keepFor
	}
	if time.Since(w.opened) >= segmentLength-flushEvery/2 || w.summary.Bytes > maxSegment {
		if err := w.closeSegment(); err != nil {
			return err
		}
	}
	return w.ring.enforce()
}

// begin creates the file of a segment.
func (w *writer) begin() error {
	name := w.ring.newName(w.summary.From)
	file, err := w.Files.Create(name + ".tar")
	if err == nil {
		err = w.Files.SyncFolder(".")
	}
	if err != nil {
		return fmt.Errorf("recorder.folder: %w", err)
	}
	w.file, w.summary.Name, w.opened = file, name, time.Now()
	return nil
}

// closeSegment ends the open segment and writes its summary.
func (w *writer) closeSegment() error {
	if w.file == nil {
		return nil
	}
	_, err := w.file.Write(trailer)
	if err == nil {
		err = w.file.Sync()
	}
	err = errors.Join(err, w.file.Close())
	w.summary.Bytes += int64(len(trailer))
	summary := w.summary
	w.file, w.summary, w.ring.open = nil, Summary{}, 0
	if err != nil {
		return fmt.Errorf("recorder.folder: %w", err)
	}
	return w.ring.add(summary)
}

// abandon gives the open segment up after a fault: the next start makes its summary.
func (w *writer) abandon() {
	if w.file != nil {
		_ = w.file.Close() // the fault is known
	}
}

// Summary describes a segment.
type Summary struct {
	// Name is that of its files, without the extension.
	Name string `json:"name"`
	// From and To are the instants of the first and the last record.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Bytes is the size of the segment.
	Bytes    int64 `json:"bytes"`
	Samples  int   `json:"samples"`
	Pictures int   `json:"pictures"`
	// States are the state at the beginning and each change.
	States []Change `json:"states"`
	Marks  []Mark   `json:"marks"`
	// Minutes summarise each minute.
	Minutes []Minute `json:"minutes"`
	// Keep is why the segment outlasts others; empty for an ordinary one.
	Keep string `json:"keep,omitempty"`
	// KeepUntil is how long what follows is kept too, if the reason lies in this segment.
	KeepUntil time.Time `json:"keep_until,omitzero"`
}

// Change is a change of the furnace's state.
type Change struct {
	At    time.Time `json:"at"`
	State string    `json:"state"`
}

// Mark is an event.
type Mark struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Subject string    `json:"subject"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Cause   string    `json:"cause,omitempty"`
}

// Minute summarises a minute.
type Minute struct {
	At time.Time `json:"at"`
	// P is the greatest filtered p(abnormal).
	P float64 `json:"p"`
	// Amperes is the mean of all phases, Samples how many it is of.
	Amperes float64 `json:"amperes"`
	Samples int     `json:"samples"`
}

// minute returns the minute of an instant.
func (s *Summary) minute(at time.Time) *Minute {
	start := at.Truncate(time.Minute)
	i, found := slices.BinarySearchFunc(s.Minutes, start, func(m Minute, t time.Time) int { return m.At.Compare(t) })
	if !found {
		s.Minutes = slices.Insert(s.Minutes, i, Minute{At: start})
	}
	return &s.Minutes[i]
}

func (m *Minute) sample(s drivers.Sample) {
	m.Samples++
	mean := (s.Current[0] + s.Current[1] + s.Current[2]) / drivers.Phases
	m.Amperes += (mean - m.Amperes) / float64(m.Samples)
}

func (m *Minute) second(s message.State) { m.P = max(m.P, s.PMean) }

package recorder

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
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
	cut     time.Time    // when the wall clock began another segment
	summary digest       // of the open segment
	written uint64
	fault   error // of the disk, between two flushes

	// What the disk does not have yet.
	pending              bytes.Buffer // whole entries
	current, states, evs bytes.Buffer
	began                time.Time // the first record in the three
	lost                 uint64
	unwritten            uint64 // records that a failing disk would cost

	lastFrame time.Time
	// keepEnd is until when everything is kept, by the monotonic clock, and keepFor why.
	keepEnd time.Time
	keepFor string
}

func openWriter(s Settings) (*writer, error) {
	ring, err := openRing(s)
	if err == nil {
		err = ring.enforce() // the disk may have filled up meanwhile
	}
	if err != nil {
		return nil, err
	}
	w := &writer{Settings: s, ring: ring}
	now := time.Now()
	until, reason := ring.keptUntil(s.Wall(now))
	w.keepEnd, w.keepFor = now.Add(until), reason
	return w, nil
}

// maxChunk bounds the rows that wait for one entry, in bytes.
const maxChunk = 1 << 20

// row prepares for a record of an instant.
func (w *writer) row(at time.Time) {
	w.unwritten++
	to := w.summary.To
	if !to.IsZero() && at.Sub(to).Abs() > clockJump && time.Since(w.cut) > flushEvery {
		// A segment's name and span would be wrong.
		w.cut = time.Now()
		w.fault = errors.Join(w.fault, w.flush(), w.closeSegment())
	}
	if !w.began.IsZero() && (at.Sub(w.began) > flushEvery || w.current.Len()+w.states.Len()+w.evs.Len() > maxChunk) {
		w.fault = errors.Join(w.fault, w.chunk()) // readers rely on short entries
	}
	if w.began.IsZero() || at.Before(w.began) {
		w.began = at
	}
}

func (w *writer) sample(s drivers.Sample) {
	for _, v := range s.Current {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			s.Missing = "the reading is not a finite number"
		}
	}
	if math.IsNaN(s.SetPoint) || math.IsInf(s.SetPoint, 0) {
		s.SetPoint = 0
	}
	w.row(s.Time)
	appendSample(&w.current, s)
	w.summary.sample(s)
}

func (w *writer) second(s Second) {
	w.row(s.Decided)
	line := Decided{At: s.Decided, Frame: s.Frame.Number, Stream: s.Frame.Stream, State: s.State}
	if s.Frame.Number > 0 {
		line.FrameTime = &s.Frame.Time
	}
	if err := appendLine(&w.states, line); err != nil {
		w.lost++
		return
	}
	if w.summary.second(s.Decided, s.State) {
		w.keepBefore(s.Decided)
	}
	if s.State.State == "abnormal" {
		w.keepAfter(keptForAlarm)
	}
	if s.Frame.Number > 0 && !s.Frame.Time.Equal(w.lastFrame) {
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
	w.unwritten++
	w.summary.picture(at)
}

func (w *writer) event(e message.Event) {
	w.row(e.Time)
	before := w.evs.Len()
	if appendLine(&w.evs, e) != nil {
		w.lost++
		return
	}
	if w.summary.event(e, w.evs.Len()-before) {
		w.keepBefore(e.Time)
	}
	if reason, ok := keptAround(e); ok {
		w.keepAfter(reason)
	}
}

// keepBefore keeps what was recorded before an instant, keepAfter what comes after now.
func (w *writer) keepBefore(at time.Time) {
	w.ring.keepFrom(at.Add(-keepAround), w.summary.Keep)
}

func (w *writer) keepAfter(reason string) {
	w.keepEnd, w.keepFor = time.Now().Add(keepAround), reason
}

// chunk makes entries of the records that wait.
func (w *writer) chunk() error {
	for _, c := range []struct {
		kind Kind
		data *bytes.Buffer
	}{{Current, &w.current}, {State, &w.states}, {Events, &w.evs}} {
		if c.data.Len() == 0 {
			continue
		}
		if c.data.Len() > maxEntry { // one record of that size
			w.lost++
		} else if err := appendEntry(&w.pending, c.kind, w.began, c.data.Bytes()); err != nil {
			return err
		}
		c.data.Reset()
	}
	w.began = time.Time{}
	return nil
}

// flush makes what was recorded durable, and begins another segment if it is time.
func (w *writer) flush() error {
	if err := errors.Join(w.fault, w.chunk()); err != nil {
		return err
	}
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
		return fmt.Errorf("paths.recordings: %w", err)
	}
	w.pending.Reset()
	w.unwritten = 0
	if w.summary.Keep == "" && time.Now().Before(w.keepEnd) {
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
		return fmt.Errorf("paths.recordings: %w", err)
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
	summary := w.summary.Summary
	w.file, w.summary, w.ring.open = nil, digest{lastState: w.summary.lastState}, 0
	if err != nil {
		return fmt.Errorf("paths.recordings: %w", err)
	}
	return w.ring.add(summary)
}

// abandon gives the open segment up after a fault: the next start makes its summary.
func (w *writer) abandon() {
	if w.file != nil {
		_ = w.file.Close() // the fault is known
	}
}

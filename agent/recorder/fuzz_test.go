package recorder

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/drivers"
	"meltwatch/durable/crashfs"
)

// FuzzCrop checks that no picture panics, and that what is decoded has the pixels of its
// size, within a bound.
func FuzzCrop(f *testing.F) {
	good, err := encodeCrop(drivers.Frame{Width: 3, Height: 2, Pixels: []byte("012345678901234567")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:40])
	f.Add(append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x00\x00\x00\x01\x00\x00"), good[24:]...)) // 65,536 pixels square
	f.Fuzz(func(t *testing.T, data []byte) {
		pixels, width, height, err := DecodeCrop(data)
		if err == nil && (len(pixels) != 3*width*height || len(pixels) > 3*4<<20) {
			t.Fatalf("%d bytes of %d×%d pixels", len(pixels), width, height)
		}
	})
}

// FuzzStates checks that no line of a state or an event panics, and that what is read can be
// summarised and written again.
func FuzzStates(f *testing.F) {
	at := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	var text bytes.Buffer
	for _, line := range []any{Decided{At: at, Frame: 3, FrameTime: &at, State: message.State{State: "abnormal", PMean: 0.5}}, message.Event{Kind: "mark", Cause: "x"}} {
		if err := appendLine(&text, line); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(text.Bytes())
	f.Add([]byte("{\"decided_at\":\"9999-12-31T23:59:59Z\",\"state\":\"off\"}\n{\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var d digest
		states, _ := parseLines[Decided](data) //nolint:errcheck // what can be read counts
		for _, s := range states {
			d.second(s.At, s.State)
		}
		events, _ := parseLines[message.Event](data) //nolint:errcheck // as above
		for _, e := range events {
			d.event(e, len(data))
		}
		if _, err := json.Marshal(d.of("20261128T130000Z", 1)); err != nil {
			t.Fatalf("the summary cannot be written: %v", err)
		}
	})
}

// FuzzLabelFile checks that no journal of labels panics, that what holds is valid, and that a
// label can be added without losing another.
func FuzzLabelFile(f *testing.F) {
	f.Add([]byte(`{"id":"1","from":"2026-11-28T13:00:00Z","to":"2026-11-28T14:00:00Z","class":"abnormal","onset":"2026-11-28T13:10:00Z","at":"2026-11-28T15:00:00Z"}` + "\n" + `{"id":"1","removed":true}` + "\n" + `{"id":"2","fro`))
	f.Add([]byte("\n\n{}\nnull\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		disk := crashfs.New(-1)
		disk.Put(labelFile, data)
		j := OpenLabels(disk)
		before, err := j.All()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range before {
			if err := l.Check(); err != nil || l.ID == "" || l.Removed {
				t.Fatalf("%+v holds: %v", l, err)
			}
		}
		at := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
		added, err := j.Put(Label{Class: ClassNormal, From: at, To: at.Add(time.Minute), At: at})
		if err != nil {
			t.Fatal(err)
		}
		after, err := j.All()
		if err != nil || len(after) != len(before)+1 {
			t.Fatalf("%d labels, then %d with %s: %v", len(before), len(after), added[0].ID, err)
		}
		counted([]Entry{{Time: at}, {Time: at.Add(3 * time.Minute)}}, after, false)
	})
}

// FuzzSummary checks that no summary beside a segment panics, keeps the ring from its bounds,
// or hides a segment.
func FuzzSummary(f *testing.F) {
	var segment bytes.Buffer
	at := time.Date(2026, 11, 28, 13, 40, 0, 0, time.UTC)
	if err := appendEntry(&segment, Crop, at, []byte("picture")); err != nil {
		f.Fatal(err)
	}
	segment.Write(trailer)
	const name = "20261128T134000Z"
	good, err := json.Marshal(Summary{Name: name, From: at, To: at, Bytes: int64(segment.Len()), Keep: "alarm", KeepUntil: at})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"name":"20261128T134000Z","bytes":-5,"from":"0001-01-01T00:00:00Z","states":null,"minutes":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		disk := crashfs.New(-1)
		disk.Put(name+".tar", segment.Bytes())
		disk.Put(name+".json", text)
		s := settings(disk, &observed{})
		r, err := openRing(s)
		if err != nil || len(r.segments) != 1 || r.segments[0].Bytes != int64(segment.Len()) {
			t.Fatalf("%+v, %v", r, err)
		}
		if left, _ := r.keptUntil(at); left > keepAround {
			t.Fatalf("kept for %s", left)
		}
		r.keepFrom(at.Add(-time.Hour), "mark")
		r.MaxBytes = 1
		if err := r.enforce(); err != nil || len(r.segments) > 0 || disk.Has(name+".tar") {
			t.Fatalf("beyond the bound there is %+v, %v", r.segments, err)
		}
	})
}

package alarm

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/message"
	"meltwatch/agent/stamp"
	"meltwatch/agent/state"
	"meltwatch/drivers"
	"meltwatch/durable"
	"meltwatch/durable/crashfs"
	"meltwatch/inference"
)

// desk collects what a tracker publishes.
type desk struct {
	alarms []message.Alarm
	events []string
	seq    uint64
}

func (d *desk) open(files durable.Files) *Tracker {
	return Open(Settings{
		Publish: func(a message.Alarm) { d.alarms = append(d.alarms, a) },
		Event: func(kind, subject, from, to, _ string) {
			d.events = append(d.events, fmt.Sprintf("%s %s %s>%s", kind, subject, from, to))
		},
		Stamper: stamp.At(7, "kernel", stamp.KernelClock{}, "test"), Files: files, Log: slog.New(slog.DiscardHandler),
		Thresholds: func() (float64, float64) { return 0.9, 0.6 },
		Levels:     func() inference.Rule { return inference.Rule{CV120: 0.05, CV45: 0.03} },
	})
}

func (d *desk) last() message.Alarm { return d.alarms[len(d.alarms)-1] }

// second is one decided second in a state that began at a time.
func (d *desk) second(b *Tracker, name string, since time.Time, held bool) {
	d.seq++
	now := message.State{
		Stamp: message.Stamp{Time: time.Now(), Boot: 7, Seq: d.seq}, State: name, Since: since, Held: held, Source: "model",
		PMean: 0.95, PAbnormal: 0.97, Counted: message.Counted{Current: true}, Senses: message.Senses{Current: "ok", Video: "absent"},
	}
	b.Decided(now, decide.Decision{End: time.Now(), Status: state.Status{State: state.State(name), Cause: "by model"}, CV120: 0.01, CV45: math.NaN()}, false)
	time.Sleep(time.Second)
}

func TestLifeOfAlarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		b := d.open(crashfs.New(-1))
		if b.Newest() != nil || b.Acknowledge("", "Li") == nil || b.Shelve("", "Li", "tapping", time.Minute) == nil {
			t.Error("an alarm before the first")
		}
		d.second(b, "normal", time.Now(), false)
		began := time.Now()
		for range 3 {
			d.second(b, "abnormal", began, false)
		}
		first := d.last()
		if len(d.alarms) != 1 || first.Phase != message.AlarmRaised || !first.Raised.Equal(began) || first.Enter != 0.9 || *first.CV120 != 0.01 || first.CV45 != nil ||
			!strings.Contains(first.Summary, "The current is quiet: it varied by 1.0 %") {
			t.Errorf("raised %+v", d.alarms)
		}
		if err := b.Acknowledge("", "Li"); err != nil {
			t.Fatal(err)
		}
		if a := d.last(); a.ID != first.ID || a.Phase != message.AlarmAcknowledged || a.Acknowledged.By != "Li" {
			t.Errorf("acknowledged %+v", a)
		}
		if err := b.Shelve("", "Wang", "tapping", 2*time.Minute); err != nil {
			t.Fatal(err)
		}
		for range 60 {
			d.second(b, "abnormal", began, false)
		}
		if a := d.last(); a.Phase != message.AlarmShelved || a.Shelved.Reason != "tapping" || a.Acknowledged == nil {
			t.Errorf("shelved %+v", a)
		}
		for range 70 {
			d.second(b, "abnormal", began, false)
		}
		if a := d.last(); a.Phase != message.AlarmRaised {
			t.Errorf("after the time of the shelf: %+v", a)
		}
		if err := b.Shelve("", "Wang", "tapping", 8*time.Hour); err != nil {
			t.Fatal(err)
		}
		d.second(b, "normal", time.Now(), false)
		if a := d.last(); a.Phase != message.AlarmCleared || a.Cleared.IsZero() {
			t.Errorf("cleared %+v", a)
		}
		if b.Acknowledge("", "Li") == nil {
			t.Error("a cleared alarm was acknowledged")
		}
		// A new alarm is never silenced by what was done with the one before.
		d.second(b, "abnormal", time.Now(), false)
		if a := d.last(); a.ID == first.ID || a.Phase != message.AlarmRaised || a.Acknowledged != nil || a.Shelved != nil {
			t.Errorf("a new alarm begins as %+v", a)
		}
		id := d.last().ID
		want := []string{
			"alarm " + first.ID + " >raised", "alarm " + first.ID + " raised>acknowledged", "alarm " + first.ID + " acknowledged>shelved",
			"alarm " + first.ID + " shelved>raised", "alarm " + first.ID + " raised>shelved", "alarm " + first.ID + " shelved>cleared", "alarm " + id + " >raised",
		}
		if !slices.Equal(d.events, want) {
			t.Errorf("events %q", d.events)
		}
	})
}

// A restarted agent goes on with the alarm that it resumes, and with who has seen it.
func TestAlarmSurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, files := &desk{}, crashfs.New(-1)
		b := d.open(files)
		began := time.Now()
		d.second(b, "abnormal", began, false)
		if err := b.Acknowledge("", "Li"); err != nil {
			t.Fatal(err)
		}
		if err := b.Save(<-b.Saves()); err != nil {
			t.Fatal(err)
		}
		id := d.last().ID
		b = d.open(files)
		d.second(b, "abnormal", began, true)
		if a := d.last(); a.ID != id || !a.Held || a.Acknowledged == nil || a.Acknowledged.By != "Li" {
			t.Errorf("after the restart: %+v", a)
		}
		// An alarm that ended while the agent was away is cleared, another one is new.
		b = d.open(files)
		time.Sleep(time.Hour)
		d.second(b, "abnormal", time.Now(), false)
		if a := d.last(); a.ID == id || a.Acknowledged != nil {
			t.Errorf("another alarm: %+v", a)
		}
		for _, text := range []string{"", "{", "[]", `{"id": 3}`} {
			files.Put(file, []byte(text))
			if d.open(files).Newest() != nil {
				t.Errorf("%q was read", text)
			}
		}
	})
}

func TestWhoAndWhyAreChecked(t *testing.T) {
	d := &desk{}
	b := d.open(crashfs.New(-1))
	d.seq = 1
	b.Decided(message.State{State: "abnormal"}, decide.Decision{CV120: math.NaN(), CV45: math.NaN()}, false)
	for _, by := range []string{"", " Li", "\x1b[2J", "two\nlines", strings.Repeat("x", 65), "\xff"} {
		if err := b.Acknowledge("", by); err == nil || !strings.HasPrefix(err.Error(), "by: ") {
			t.Errorf("%q: %v", by, err)
		}
	}
	for _, minutes := range []int{-1, 0, 481, 1 << 40} {
		if err := b.Shelve("", "Li", "tapping", time.Duration(minutes)*time.Minute); err == nil || !strings.HasPrefix(err.Error(), "minutes: ") {
			t.Errorf("%d min: %v", minutes, err)
		}
	}
	for _, reason := range []string{"", strings.Repeat("x", 201), "\a"} {
		if err := b.Shelve("", "Li", reason, time.Minute); err == nil || !strings.HasPrefix(err.Error(), "reason: ") {
			t.Errorf("%q: %v", reason, err)
		}
	}
	if b.Newest().Phase != message.AlarmRaised {
		t.Errorf("%+v", b.Newest())
	}
}

// picture is a frame of a noisy scene under changing exposure, with a spot of some
// brightness.
func picture(r *rand.Rand, at time.Time, n uint64, spot float64) drivers.Frame {
	const side = 64
	f := drivers.Frame{Time: at, Number: n, Width: side, Height: side, Pixels: make([]byte, 3*side*side)}
	exposure := 0.7 + 0.6*r.Float64()
	for y := range side {
		for x := range side {
			v := 60 + 40*float64(x)/side
			v += spot * math.Exp(-((float64(x)-48)*(float64(x)-48)+(float64(y)-16)*(float64(y)-16))/(2*5*5))
			v = exposure*v + 4*r.NormFloat64()
			for c := range 3 {
				f.Pixels[3*(y*side+x)+c] = byte(min(max(v, 0), 255))
			}
		}
	}
	return f
}

func TestChangeAgainstTheBackground(t *testing.T) {
	r, at := rand.New(rand.NewPCG(1, 2)), time.Now()
	var b Background
	n := uint64(0)
	show := func(seconds int, spot float64, frozen bool) {
		for range seconds {
			n++
			at = at.Add(time.Second)
			b.Observe(picture(r, at, n, spot), frozen)
		}
	}
	show(20, 100, false)
	if b.Change() != nil {
		t.Error("a change before there is a background")
	}
	b = Background{}
	for range 600 {
		show(1, 0, false)
		if c := b.Change(); c != nil {
			t.Fatalf("a change in a picture without one: %+v", c)
		}
	}
	show(1, 60, true)
	c := b.Change()
	if c == nil || math.Hypot(c.X-48./64, c.Y-16./64) > 0.05 || c.Share > 0.2 || c.Strength < strongest {
		t.Fatalf("change %+v, want one at 0.75, 0.25", c)
	}
	show(600, 60, true)
	if b.Change() == nil {
		t.Error("the spot was absorbed while the background was frozen")
	}
	near, far := &message.Evidence{X: 0.7, Y: 0.3, Spread: 0.1}, &message.Evidence{X: 0.2, Y: 0.8, Spread: 0.1}
	if a := agree(near, c); a == nil || !*a {
		t.Error("the same place does not agree")
	}
	if a := agree(far, c); a == nil || *a {
		t.Error("another place agrees")
	}
	if agree(nil, c) != nil || agree(near, nil) != nil {
		t.Error("what is unknown agrees or not")
	}
	show(600, 60, false)
	if b.Change() != nil {
		t.Error("a lasting light is not absorbed")
	}
}

// Disagreement is said, and a lone witness is named.
func TestSummaries(t *testing.T) {
	value := func(v float64) *float64 { return &v }
	evidence := message.Evidence{X: 0.9, Y: 0.1, Spread: 0.1}
	base := message.Alarm{Source: "model", PMean: 0.97, Enter: 0.956, Level120: 0.05, Level45: 0.03, CV120: value(0.12),
		Counted: message.Counted{Current: true, Video: true}, Senses: message.Senses{Current: "ok", Video: "ok"},
		Alone: &message.Alone{Current: value(0.1), Video: value(0.99)}, Evidence: &evidence}
	for want, change := range map[string]func(*message.Alarm){
		"the video sees it. The current is lively: it varied by 12.0 %": func(*message.Alarm) {},
		"looked in the upper right of the crop, but nothing there":      func(*message.Alarm) {},
		"brighter in the upper right of the crop, where the model looked too": func(a *message.Alarm) {
			a.Change = &message.Change{Evidence: evidence}
		},
		"but the picture has become brighter in the centre of the crop: check the picture": func(a *message.Alarm) {
			a.Change = &message.Change{Evidence: message.Evidence{X: 0.5, Y: 0.5}}
		},
		"The current alone decided: the video is black": func(a *message.Alarm) {
			a.Alone, a.Counted.Video, a.Senses.Video = nil, false, "black"
		},
		"both see it. The current is quiet: it varied by 3.0 % over 120 s, the rule's level is 5.0 %": func(a *message.Alarm) {
			a.Alone.Current, a.CV120 = value(0.8), value(0.03)
		},
		"The current has become calmer: it varied by 4.9 % over 45 s and by 9.6 % over 120 s": func(a *message.Alarm) {
			a.CV45, a.CV120 = value(0.049), value(0.096)
		},
		"the model did not decide": func(a *message.Alarm) { a.Source = "rule" },
	} {
		a := base
		alone := *base.Alone
		a.Alone = &alone
		change(&a)
		a.Agree = agree(a.Evidence, a.Change)
		if text := Summary(a); !strings.Contains(text, want) {
			t.Errorf("%s\nwant %s", text, want)
		}
	}
}

func TestEvidenceIsDrawn(t *testing.T) {
	grey := image.NewGray(image.Rect(0, 0, 640, 360))
	for i := range grey.Pix {
		grey.Pix[i] = 100
	}
	var in bytes.Buffer
	if err := jpeg.Encode(&in, grey, nil); err != nil {
		t.Fatal(err)
	}
	e := &message.Evidence{X: 0.5, Y: 0.5, Spread: 0.1}
	c := &message.Change{Evidence: message.Evidence{X: 0.25, Y: 0.5, Spread: 0.05}}
	out, err := Draw(in.Bytes(), image.Rect(250, 0, 750, 1000), e, c)
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := jpeg.Decode(bytes.NewReader(out))
	if err != nil || drawn.Bounds() != grey.Bounds() {
		t.Fatal(err)
	}
	// The attention's circle is blue to the right of the centre; the change's square is
	// yellow to the left of its own; between them nothing is drawn.
	r, _, b, _ := drawn.At(320+32, 180).RGBA()
	r2, _, b2, _ := drawn.At(240-16, 180).RGBA()
	same := color.GrayModel.Convert(drawn.At(280, 100)).(color.Gray)
	if b <= r || r2 <= b2 || same.Y < 90 || same.Y > 110 {
		t.Errorf("circle %d %d, square %d %d, elsewhere %d", r>>8, b>>8, r2>>8, b2>>8, same.Y)
	}
	for _, bad := range [][]byte{nil, []byte("no picture"), out[:200]} {
		if _, err := Draw(bad, image.Rect(0, 0, 1000, 1000), e, c); err == nil {
			t.Errorf("%d bytes were drawn on", len(bad))
		}
	}
	// A place at the edge, and a crop outside the picture.
	if _, err := Draw(in.Bytes(), image.Rect(-500, 900, 3000, 4000), &message.Evidence{X: 1, Y: 1, Spread: 5}, c); err != nil {
		t.Error(err)
	}
}

func FuzzDraw(f *testing.F) {
	var in bytes.Buffer
	if err := jpeg.Encode(&in, image.NewGray(image.Rect(0, 0, 16, 16)), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(in.Bytes())
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = Draw(data, image.Rect(0, 0, 1000, 1000), &message.Evidence{X: 0.5, Y: 0.5, Spread: 0.5}, nil)
	})
}

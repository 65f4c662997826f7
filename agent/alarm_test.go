package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/jpeg"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/recorder"
	"meltwatch/agent/replay"
	"meltwatch/agent/settings"
	"meltwatch/simulator/furnace"
)

// A real melt raises an alarm that says why, with a picture of it; the page shows it, and
// its recording is decided again as it was.
func TestAlarmIsExplainedShownAndRecorded(t *testing.T) {
	long(t)
	page := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	p := newPlant(t, furnace.ShortDemo(), fmt.Sprintf(",\nweb: {listen: %q}, recorder: {min_free_mb: 0}, commands: {acknowledge: true, shelve: true}", page))
	p.within(180*time.Second, "abnormal", func(s message.State) bool { return s.State == "abnormal" })
	wait := func(what string, ok func() bool) {
		t.Helper()
		for began := time.Now(); !ok(); time.Sleep(50 * time.Millisecond) {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("not within 20 s: %s", what)
			}
		}
	}
	var a message.Alarm
	wait("an alarm on its topic", func() bool { return json.Unmarshal(p.payloadOn(message.TopicAlarm), &a) == nil })
	if a.Phase != message.AlarmRaised || a.PMean < a.Enter || len(a.Frames) < 10 || a.Evidence == nil || a.Change == nil || a.Agree == nil || !*a.Agree ||
		!strings.Contains(a.Summary, "where the model looked too") || a.CV45 == nil {
		t.Errorf("alarm %+v", a)
	}
	wait("a snapshot", func() bool {
		picture, err := jpeg.Decode(bytes.NewReader(p.payloadOn(message.TopicSnapshot)))
		return err == nil && picture.Bounds().Dx() == 640
	})
	// The page shows it at once.
	var now struct {
		State message.State
		Alarm message.Alarm
	}
	answer, err := http.Get("http://" + page + "/api/now")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || json.Unmarshal(text, &now) != nil || now.Alarm.ID != a.ID || now.State.State != "abnormal" {
		t.Errorf("the page's now: %.300s, %v", text, err)
	}
	// Acknowledged over MQTT, the alarm says by whom, and the state stays.
	if r := p.order("1", "acknowledge", `, "by": "Li"`); r.Status != message.Done {
		t.Errorf("acknowledge: %+v", r)
	}
	wait("acknowledged", func() bool {
		return json.Unmarshal(p.payloadOn(message.TopicAlarm), &a) == nil && a.Acknowledged != nil && a.Acknowledged.By == "Li"
	})
	p.within(10*time.Second, "still abnormal", func(s message.State) bool { return s.State == "abnormal" })

	c := *p.agent.config.Load()
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	folder := settings.RecordingsFolder(c)
	l := recorder.OpenLibrary(folder)
	segments, err := l.Segments()
	if err != nil || len(segments) != 1 || segments[0].Keep != "alarm" {
		t.Fatalf("segments %+v, %v", segments, err)
	}
	views, err := l.Entries(segments[0].From, segments[0].To, recorder.View)
	if err != nil || len(views) < 30 {
		t.Errorf("%d whole pictures, %v", len(views), err)
	}
	env, err := Host(slog.New(slog.DiscardHandler), &slog.LevelVar{}, "test")
	if err != nil {
		t.Fatal(err)
	}
	c.Paths.Programs = filepath.Clean(p.programs)
	seconds, differ := 0, 0
	result, err := Replay(t.Context(), c, env, l, segments[0].From, segments[0].To.Add(time.Second), func(s replay.Second) {
		seconds++
		if s.Recorded.Source == "model" && string(s.Again.Status.State) != s.Recorded.State.State {
			differ++
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if seconds < 40 || differ > 1+seconds/50 {
		t.Errorf("%d of %d seconds have another state: %+v", differ, seconds, result)
	}
	if speed := float64(seconds) / result.Took.Seconds(); speed < 10 {
		t.Errorf("decided %.1f times as fast as live, want 10", speed)
	}
	t.Logf("%d s decided again in %s, %d differ", seconds, result.Took, differ)
}

package web

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"meltwatch/agent/recorder"
)

func TestBackIsRead(t *testing.T) {
	f, url := started(t)
	c := browser(t)
	span := fmt.Sprintf("from=%d&to=%d", f.began.Unix()-1, f.began.Unix()+200)
	var timeline struct {
		States []recorder.Change
		Marks  []recorder.Mark
	}
	_, text := do(t, c, "GET", url+"/api/timeline?"+span, "")
	if err := json.Unmarshal([]byte(text), &timeline); err != nil || len(timeline.States) == 0 || len(timeline.Marks) != 1 || timeline.Marks[0].Cause != "<b>p</b>" {
		t.Errorf("timeline %s, %v", text, err)
	}
	// A mark outside the stretch is not shown at its edge.
	_, text = do(t, c, "GET", fmt.Sprintf("%s/api/timeline?from=%d&to=%d", url, f.began.Unix()+60, f.began.Unix()+200), "")
	timeline.Marks = nil
	if err := json.Unmarshal([]byte(text), &timeline); err != nil || len(timeline.Marks) > 0 {
		t.Errorf("marks of another stretch %+v, %v", timeline.Marks, err)
	}
	var samples struct {
		Samples []Point
		States  []Verdict
	}
	_, text = do(t, c, "GET", url+"/api/samples?"+span, "")
	if err := json.Unmarshal([]byte(text), &samples); err != nil || len(samples.Samples) != 100 || len(samples.States) != 100 || samples.Samples[0].B != 15100 {
		t.Errorf("%d samples, %d states, %v", len(samples.Samples), len(samples.States), err)
	}
	if code, text := do(t, c, "GET", fmt.Sprintf("%s/api/picture?kind=crop&at=%d", url, f.began.Unix()+30), ""); code != 200 || !strings.HasPrefix(text, "\x89PNG") {
		t.Errorf("picture: %d", code)
	}
	code, text := do(t, c, "GET", url+"/api/clip.tar?"+span, "")
	names := map[string]int{}
	for in := tar.NewReader(strings.NewReader(text)); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names[strings.Split(header.Name, "/")[1]]++
	}
	if code != 200 || names["crop"] != 100 || names["current"] == 0 || names["event"] != 1 {
		t.Errorf("clip: %d, %v", code, names)
	}
}

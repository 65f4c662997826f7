package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/compare"
	"meltwatch/agent/recorder"
	"meltwatch/agent/recorder/recordertest"
	"meltwatch/docs/pagestest"
	"meltwatch/durable"
	"meltwatch/inference"
	"meltwatch/simulator/furnace"
)

// ownData is a place in which the commands of "Make a model from these" run.
type ownData struct {
	t          *testing.T
	folder     string // of all that they write
	recordings string
	normalFrom time.Time
	normalTo   time.Time
}

// episode is a melt like the demo's, after a full window.
func episode(seed uint64) furnace.Scenario {
	return furnace.Scenario{Seed: seed, SetPoint: 15000, Segments: []furnace.Segment{
		{State: furnace.Normal, Seconds: 150}, {State: furnace.Ramp, Seconds: 40, Current: furnace.Flat},
		{State: furnace.Abnormal, Seconds: 80}, {State: furnace.Recovery, Seconds: 20}, {State: furnace.Normal, Seconds: 30},
	}, Nuisances: []furnace.Nuisance{{Cause: furnace.DoFeed, At: 30, Seconds: 35}, {Cause: furnace.Sparks, At: 20, Seconds: 5}}}
}

// recordOwn records the demo's furnace: melts with an episode, and then normal ones.
func recordOwn(t *testing.T, melts, normal int) *ownData {
	t.Helper()
	o := &ownData{t: t, folder: t.TempDir()}
	o.recordings = filepath.Join(o.folder, "recordings")
	synctest.Test(t, func(t *testing.T) {
		var all []furnace.Scenario
		for n := range melts {
			all = append(all, episode(uint64(n+1)))
		}
		recordertest.Record(t, o.recordings, all...)
		o.normalFrom = time.Now()
		all = nil
		for n := range normal {
			all = append(all, furnace.Scenario{Seed: uint64(100 + n), SetPoint: 15000, Segments: []furnace.Segment{{State: furnace.Normal, Seconds: 250}}})
		}
		recordertest.Record(t, o.recordings, all...)
		o.normalTo = time.Now()
	})
	return o
}

// printed are the commands that the page prints.
func printed(t *testing.T, language string) []pagestest.Command {
	t.Helper()
	text, err := os.ReadFile("web/static/lang/" + language + ".json")
	var words map[string]string
	if err == nil {
		err = json.Unmarshal(text, &words)
	}
	if err != nil {
		t.Fatal(err)
	}
	return pagestest.Split(words["train_commands"], 1)
}

// run runs a printed command in this place, with further flags, and returns what it says.
func (o *ownData) run(c pagestest.Command, more ...string) string {
	o.t.Helper()
	words := append([]string(nil), c.Words...)
	for i, w := range words {
		switch {
		case w == "START":
			words[i] = o.normalFrom.Format(time.RFC3339)
		case w == "END":
			words[i] = o.normalTo.Format(time.RFC3339)
		case strings.HasPrefix(w, "data/"), strings.HasPrefix(w, "runs/"), strings.HasPrefix(w, "models/"):
			words[i] = filepath.Join(o.folder, w)
		}
	}
	switch words[0] {
	case "meltwatch":
		words[0] = filepath.Join("bin", "meltwatch")
		more = append(more, "--folder", o.recordings)
	case "python":
		words[0] = filepath.Join(".deps", "venv", "bin", "python")
	}
	began := time.Now()
	cmd := exec.CommandContext(o.t.Context(), words[0], append(words[1:], more...)...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "KERAS_BACKEND=tensorflow", "TF_CPP_MIN_LOG_LEVEL=2")
	said, err := cmd.CombinedOutput()
	if err != nil {
		o.t.Fatalf("%s: %v\n%s", c.Text(), err, said)
	}
	o.t.Logf("%s: %.0f s", strings.Join(c.Words[:min(len(c.Words), 4)], " "), time.Since(began).Seconds())
	return string(said)
}

// needPython skips the test without the trainer's Python.
func needPython(t *testing.T) {
	t.Helper()
	needPrograms(t)
	// make demo leaves a Python without packages; this file comes with them.
	if _, err := os.Stat("../.deps/venv/.requirements"); err != nil {
		t.Skip("SKIPPED, no Python to check the data set with: make deps-train")
	}
}

// What a box recorded and a person labelled is clean to the trainer's own check, by the very
// commands that the page prints.
func TestExportIsCleanToTheTrainersCheck(t *testing.T) {
	long(t)
	needPython(t)
	o := recordOwn(t, 3, 2)
	checked := 0
	for _, c := range printed(t, "en") {
		module := strings.Join(c.Words, " ")
		switch {
		case strings.Contains(module, "meltwatch export"):
			o.run(c)
		case strings.Contains(module, "check_data"):
			if said := o.run(c); !strings.Contains(said, "no fault found") {
				t.Errorf("%s says %s", module, said)
			}
			checked++
		}
	}
	if checked != 2 {
		t.Errorf("%d data sets were checked", checked)
	}
}

// A model that is trained on labelled recordings by the very commands that the page prints
// decides these recordings. MELTWATCH_TRAIN is how many steps it is trained for.
func TestModelOfLabelledRecordingsRuns(t *testing.T) {
	steps := os.Getenv("MELTWATCH_TRAIN")
	if steps == "" {
		t.Skip("MELTWATCH_TRAIN is not set: make prove trains a model")
	}
	needPython(t)
	o := recordOwn(t, 5, 4)
	config := filepath.Join(o.folder, "furnace.yaml")
	writeFile(t, config, strings.Replace(document(t, startSim(t), "tcp://127.0.0.1:1"), "../inference/models/product", mustAbs(t, "../inference/models/product"), 1), 0o600)
	for _, c := range printed(t, "en") {
		switch module := strings.Join(c.Words, " "); {
		case strings.Contains(module, "train.train"):
			o.run(c, "--steps", steps)
		case strings.Contains(module, "meltwatch compare"):
			t.Log(o.run(c, "--config", config))
		default:
			o.run(c)
		}
	}
	own := filepath.Join(o.folder, "models", "own")
	manifest, err := inference.CheckFolder(own)
	if err != nil || manifest.Name != "own" || manifest.Version != "1.0.0" {
		t.Errorf("model %s %s, %v", manifest.Name, manifest.Version, err)
	}
	c, err := compare.Read(durable.Folder(o.recordings))
	if err != nil || c == nil || c.Candidate.Name != "own" || c.CandidateSum.Seconds < 300 {
		t.Errorf("comparison %+v, %v", c, err)
	}
	said := o.run(pagestest.Command{Words: []string{"meltwatch", "replay", "--model", own, "--config", config}})
	if !strings.Contains(said, "s decided again in") || !strings.Contains(said, "labelled: then right in") {
		t.Errorf("replay says %s", said)
	}
	said = said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:]
	t.Log(strings.TrimSpace(said))
	if labels, err := recorder.OpenLabels(durable.Folder(o.recordings)).All(); err != nil || len(labels) < 10 {
		t.Errorf("%d labels, %v", len(labels), err)
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	whole, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// docs/own-data.md explains the commands that the page prints, in both languages.
func TestPageAndDocumentsHaveTheSameCommands(t *testing.T) {
	text, err := os.ReadFile("../docs/own-data.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := pagestest.Parse("docs/own-data.md", string(text))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, c := range page.Commands() {
		documented[plainly(c)] = true
	}
	english, chinese := printed(t, "en"), printed(t, "zh")
	if len(english) < 7 || len(english) != len(chinese) {
		t.Fatalf("%d commands in English, %d in Chinese", len(english), len(chinese))
	}
	for i, c := range english {
		if c.Text() != chinese[i].Text() {
			t.Errorf("Chinese has %s for %s", chinese[i].Text(), c.Text())
		}
		if !documented[plainly(c)] {
			t.Errorf("docs/own-data.md lacks %s", plainly(c))
		}
	}
}

// plainly is a command without what differs between a box and a desk: the folder of the
// recording, the instants, the path of the program.
func plainly(c pagestest.Command) string {
	var words []string
	for i := 0; i < len(c.Words); i++ {
		switch w := c.Words[i]; w {
		case "--folder", "-c", "--from", "--to":
			i++
		default:
			words = append(words, strings.TrimPrefix(w, "bin/"))
		}
	}
	return fmt.Sprint(words)
}

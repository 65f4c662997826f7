package serve

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"meltwatch/simulator/dataset"
	"meltwatch/simulator/furnace"
	"meltwatch/simulator/scene"
)

// What is judged offline must be what was served, to the last sample and pixel.
func TestDataSetOfAScenarioIsTheMeltThatIsServed(t *testing.T) {
	const seconds, seed = 60, 7
	scenario := furnace.Disturb(furnace.Scenario{Name: "same", Segments: []furnace.Segment{
		{State: furnace.Normal, Seconds: 20}, {State: furnace.Ramp, Seconds: 20}, {State: furnace.Abnormal, Seconds: 20},
	}}, seed, seed, seed)
	folder := t.TempDir()
	err := dataset.Write(t.Context(), dataset.Options{
		Dir: folder, Batches: 1, Seconds: seconds, Seed: seed, FPS: 1, Life: furnace.Mixed, Scenario: scenario, Workers: 1,
	}, func(int, int, time.Duration) {})
	if err != nil {
		t.Fatal(err)
	}
	samples, labels := table(t, folder, "currents"), table(t, folder, "labels")
	video, err := os.ReadFile(filepath.Join(folder, "videos", "batch-0000.npy"))
	if err != nil {
		t.Fatal(err)
	}

	f := Options{Scenario: scenario, Seed: seed}.build()
	clocked, picture := newClockedFurnace(f, time.Now()), scene.New(f.Batch())
	pixels := make([]byte, 3*scene.Side*scene.Side)
	frames := video[len(video)-seconds*len(pixels):]
	if len(samples) != 2*seconds || len(labels) != seconds {
		t.Fatalf("%d samples and %d labels of %d s", len(samples), len(labels), seconds)
	}
	for i, row := range samples {
		state := clocked.atElapsed(time.Duration(i)*time.Second/2, 0)
		for phase, amperes := range state.PLC.Current {
			if want := strconv.FormatFloat(float64(amperes), 'f', 1, 64); row[1+phase] != want {
				t.Fatalf("sample %d, phase %d: %s A written, %s A served", i, phase, row[1+phase], want)
			}
		}
		if i%2 != 0 {
			continue
		}
		if want := strconv.Itoa(int(state.Truth.Label)); labels[i/2][2] != want {
			t.Fatalf("second %d: label %s written, %s served", i/2, labels[i/2][2], want)
		}
		// A frame's pixels are stored in other order; their number of each value is
		// enough to tell frames apart.
		picture.Crop(state, pixels, nil)
		written := slices.Clone(frames[i/2*len(pixels):][:len(pixels)])
		slices.Sort(written)
		if slices.Sort(pixels); !bytes.Equal(written, pixels) {
			t.Fatalf("second %d: another frame was written than is served", i/2)
		}
	}
}

// table is the rows below the head of the batch's file in a folder of a data set.
func table(t *testing.T, folder, kind string) [][]string {
	t.Helper()
	file, err := os.Open(filepath.Join(folder, kind, "batch-0000.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

package tensorflow

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"meltwatch/inference"
)

// fmformer is the published network at its full size, untrained: what a second
// costs if nobody counts. Not committed: inference/train/fmformer.py makes it.
const fmformer = "../../runs/fmformer-b"

// perRound is how many seconds of each model one figure of the comparison is
// taken over; the large one takes some 20 ms for each.
const perRound = 300

// BenchmarkAgainstFmFormer times a second of the product (encode_frame and step)
// against a second of FmFormer-B, on one thread, in one run: in blocks (one model,
// calls back to back) and in turns (one second of each, so that neither finds its
// data in the cache, as at one call a second). The ratios are of medians.
func BenchmarkAgainstFmFormer(b *testing.B) {
	if _, err := os.Stat(filepath.Join(fmformer, inference.ManifestFile)); errors.Is(err, fs.ErrNotExist) {
		// go test keeps a benchmark's reason for a skip to itself.
		fmt.Fprintf(os.Stderr, "BenchmarkAgainstFmFormer: skipped: no model in %s; make bench makes it\n", fmformer)
		b.SkipNow()
	}
	small, large := second(openFixture(b, product)), second(openFixture(b, fmformer))
	for range perRound / 10 { // both at their pace before anything counts
		timed(b, small)
		timed(b, large)
	}
	b.Run("blocks", func(b *testing.B) {
		var ours, theirs []time.Duration
		for b.Loop() {
			for range perRound {
				ours = append(ours, timed(b, small))
			}
			for range perRound {
				theirs = append(theirs, timed(b, large))
			}
		}
		compared(b, ours, theirs)
	})
	b.Run("turns", func(b *testing.B) {
		var ours, theirs []time.Duration
		for b.Loop() {
			for range perRound {
				ours = append(ours, timed(b, small))
				theirs = append(theirs, timed(b, large))
			}
		}
		compared(b, ours, theirs)
	})
}

// second is what the agent asks of a model each second.
func second(m *Model) func() error {
	encode, step := encodeOnce(m), stepOnce(m)
	return func() error {
		if err := encode(); err != nil {
			return err
		}
		return step()
	}
}

func compared(b *testing.B, ours, theirs []time.Duration) {
	report(b, "product_", ours)
	report(b, "fmformer_", theirs)
	b.ReportMetric(float64(median(theirs))/float64(median(ours)), "ratio")
}

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}

// The comparison is worth nothing if the large model were not what it claims.
func TestFmFormerAnswersAsItWasExported(t *testing.T) {
	if _, err := os.Stat(filepath.Join(fmformer, inference.ManifestFile)); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no model in %s; make bench makes it", fmformer)
	}
	m := openFixture(t, fmformer)
	if n := m.Manifest().Metrics["parameters"]; n < 1.9e6 || n > 1.95e6 {
		t.Errorf("%v parameters, published are 1.92 million", n)
	}
	vectors, err := m.Manifest().ReadGolden(fmformer)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		if v.Signature == inference.Step { // what encode_frame hands on needs no evidence
			compare(t, m, v)
		}
	}
	if len(vectors) < 3 {
		t.Errorf("%d vectors, want at least 3", len(vectors))
	}
}

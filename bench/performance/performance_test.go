package performance

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/bench/performance/figures"
)

// scripted is a part that notes its rounds, and fails at one of them.
type scripted struct {
	name    string
	failsAt int // −1 for never
	done    *[]string
}

func (s scripted) part() Part {
	return Part{
		Name: s.name, Title: strings.ToUpper(s.name),
		Tables: []figures.Table{{Title: "Table of " + s.name, Rows: []figures.Row{{What: "figure", Ours: "ours"}}}},
		Measure: func(_ context.Context, n int) (figures.Round, error) {
			if n == s.failsAt {
				return nil, errors.New("the machine is on fire")
			}
			*s.done = append(*s.done, s.name)
			return figures.Round{"ours": float64(n)}, nil
		},
	}
}

// The parts take turns round by round. What is measured is kept although another part fails,
// and the next run measures the rest alone.
func TestRunGoesOnWhereItStopped(t *testing.T) {
	folder := t.TempDir()
	o := Options{Rounds: 3, Results: filepath.Join(folder, "results"), Into: filepath.Join(folder, "page.md"), Version: "v1", Command: "bench"}
	var done []string
	run := func(failsAt int) error {
		done = nil
		return o.run(t.Context(), &bytes.Buffer{}, []Part{scripted{"a", -1, &done}.part(), scripted{"b", failsAt, &done}.part()})
	}
	if err := run(1); err == nil || !strings.Contains(err.Error(), "b: the machine is on fire") {
		t.Fatalf("error %v", err)
	}
	if want := []string{"a", "b", "a", "a"}; !slices.Equal(done, want) {
		t.Errorf("measured %v, want %v", done, want)
	}
	if err := run(-1); err != nil {
		t.Fatal(err)
	}
	if want := []string{"b", "b"}; !slices.Equal(done, want) {
		t.Errorf("measured %v, want %v", done, want)
	}
	if err := run(-1); err != nil || len(done) > 0 {
		t.Errorf("measured %v again, %v", done, err)
	}
	page, err := os.ReadFile(o.Into)
	if err != nil || strings.Count(string(page), "3 rounds") != 2 || strings.Contains(string(page), "Not measured") {
		t.Errorf("%v\n%s", err, page)
	}
	o.Version = "v2"
	if err := run(-1); err != nil || len(done) != 6 {
		t.Errorf("results of other programs are kept: %v, %v", done, err)
	}
}

func TestPartsAreChosen(t *testing.T) {
	var done []string
	parts := []Part{scripted{"a", -1, &done}.part(), scripted{"b", -1, &done}.part()}
	o := Options{Rounds: 1, Results: t.TempDir(), Parts: []string{"b"}}
	var page bytes.Buffer
	if err := o.run(t.Context(), &page, parts); err != nil || !slices.Equal(done, []string{"b"}) {
		t.Errorf("measured %v, %v", done, err)
	}
	onDemand := scripted{"c", -1, &done}.part()
	onDemand.OnDemand = true
	done = nil
	all := Options{Rounds: 1, Results: t.TempDir()}
	if err := all.run(t.Context(), &bytes.Buffer{}, append(parts, onDemand)); err != nil || !slices.Equal(done, []string{"a", "b"}) {
		t.Errorf("without names, measured %v, %v", done, err)
	}
	if !strings.Contains(page.String(), "## A\n\nNot measured. To measure it: `bin/bench performance --parts a`.") {
		t.Errorf("page\n%s", page.String())
	}
	for want, wrong := range map[string]Options{
		`--parts: "c" is unknown: known are a, b`: {Rounds: 1, Parts: []string{"c"}},
		"--rounds: -1 is invalid":                 {Rounds: -1},
	} {
		if err := wrong.run(t.Context(), &page, parts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A run that is interrupted says so, and still writes what it has.
func TestInterruptionKeepsResults(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var done []string
	first := scripted{"a", -1, &done}.part()
	measure := first.Measure
	first.Measure = func(ctx context.Context, n int) (figures.Round, error) {
		stop()
		return measure(ctx, n)
	}
	var page bytes.Buffer
	err := Options{Rounds: 3, Results: t.TempDir()}.run(ctx, &page, []Part{first})
	if !errors.Is(err, context.Canceled) || len(done) != 1 || !strings.Contains(page.String(), "1 rounds") {
		t.Errorf("%v after %v\n%s", err, done, page.String())
	}
}

// A run ends at its limit, and says how it goes on.
func TestRunEndsAtItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done []string
		p := scripted{"a", -1, &done}.part()
		measure := p.Measure
		p.Measure = func(ctx context.Context, n int) (figures.Round, error) {
			select {
			case <-time.After(8 * time.Minute):
				return measure(ctx, n)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		o := Options{Rounds: 3, Limit: 20 * time.Minute, Results: t.TempDir()}
		began := time.Now()
		if err := o.run(t.Context(), &bytes.Buffer{}, []Part{p}); !errors.Is(err, errLimit) || len(done) != 2 || time.Since(began) != o.Limit {
			t.Errorf("%v after %v and %v", err, time.Since(began), done)
		}
		if err := o.run(t.Context(), &bytes.Buffer{}, []Part{p}); err != nil || len(done) != 3 {
			t.Errorf("%v after %v", err, done)
		}
	})
}

// Every part has a name of its own, so that none overwrites another's results.
func TestPartsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range (Options{}).parts() {
		if seen[p.Name] || p.Title == "" || len(p.Tables) == 0 || p.Measure == nil {
			t.Errorf("part %+v", p.Name)
		}
		seen[p.Name] = true
	}
}

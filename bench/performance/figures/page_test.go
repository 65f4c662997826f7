package figures

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A ratio is the median of the rounds' own ratios: a round in which the machine was slow for
// both counts as any other.
func TestRowTellsMediansAndRatios(t *testing.T) {
	rounds := []Round{
		{"ours": 1, "peer": 2, "limit": 0.5},
		{"ours": 10, "peer": 20, "limit": 2},
		{"ours": 3, "peer": 4, "limit": 1},
	}
	row := Row{What: "time", Unit: "ms", Ours: "ours", Peer: "peer", Limit: "limit"}
	for _, c := range []struct {
		bound Bound
		want  string
	}{
		{Bound{}, "time | ms | 3.00 | 4.00 | 1.00 | 0.50 | 3.00 | 9.00 | "},
		{AtMost(PeerRatio, 0.5), "time | ms | 3.00 | 4.00 | 1.00 | 0.50 | 3.00 | 9.00 | ≤ 0.50× peer: met"},
		{AtMost(LimitRatio, 1.3), "time | ms | 3.00 | 4.00 | 1.00 | 0.50 | 3.00 | 9.00 | **≤ 1.30× limit: missed**"},
		{AtLeast(Value, 2), "time | ms | 3.00 | 4.00 | 1.00 | 0.50 | 3.00 | 9.00 | ≥ 2.00: met"},
		{AtMost(Value, 2), "time | ms | 3.00 | 4.00 | 1.00 | 0.50 | 3.00 | 9.00 | **≤ 2.00: missed**"},
	} {
		row.Bound = c.bound
		if got := strings.Join(row.cells(rounds), " | "); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// What a round lacks is told as missing, never as zero, and meets no bound.
func TestMissingFiguresAreSaidToBeMissing(t *testing.T) {
	row := Row{What: "time", Unit: "ms", Ours: "ours", Peer: "peer", Bound: AtMost(PeerRatio, 1)}
	for want, rounds := range map[string][]Round{
		"time | ms | – | 2.00 | – | – | – | – | ≤ 1.00× peer: not measured":  {{"peer": 2}},
		"time | ms | 1.00 | – | – | – | – | – | ≤ 1.00× peer: not measured":  {{"ours": 1}},
		"time | ms | 1.00 | 0 | – | – | – | – | ≤ 1.00× peer: not measured":  {{"ours": 1, "peer": 0}},
		"time | ms | 2.00 | 2.00 | – | 0.50 | – | 2.00 | ≤ 1.00× peer: met":  {{"ours": 1, "peer": 2}, {"ours": 3}},
		"time | ms | 12.5 | 1234 | – | 0.0101 | – | – | ≤ 1.00× peer: met":   {{"ours": 12.5, "peer": 1234}},
		"time | ms | 0.0123 | 0.50 | – | 0.0246 | – | – | ≤ 1.00× peer: met": {{"ours": 0.0123, "peer": 0.5}},
	} {
		if got := strings.Join(row.cells(rounds), " | "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
		ok     bool
	}{
		{nil, 0, false}, {[]float64{3}, 3, true}, {[]float64{4, 1}, 2.5, true}, {[]float64{9, 1, 2}, 2, true}, {[]float64{8, 1, 4, 2}, 3, true},
	} {
		if got, ok := median(c.values); got != c.want || ok != c.ok {
			t.Errorf("%v: %v, %v", c.values, got, ok)
		}
	}
}

func TestPageSaysWhatWasNotMeasured(t *testing.T) {
	machine := Machine{CPU: "Z80", Cores: 1, Kernel: "CP/M 2.2", Go: "go1.26"}
	tables := []Table{{Title: "Rate", Text: "Why.", Rows: []Row{{What: "time", Unit: "ms", Ours: "ours"}}}}
	page := Page([]Section{
		{Name: "meter", Title: "From the meter", Tables: tables, Missing: "bin/bench performance --parts meter"},
		{Name: "client", Title: "The client", Tables: tables, Result: Result{
			Part: "client", Command: "bin/bench performance", Version: "v1", Machine: machine,
			Measured: time.Date(2026, 11, 28, 23, 0, 0, 0, time.UTC), Rounds: []Round{{"ours": 2}},
		}},
	}, "Nothing helped.\n")
	for _, want := range []string{
		"| Z80 | 1 | CP/M 2.2 | go1.26 | client |\n",
		"\n## From the meter\n\nNot measured. To measure it: `bin/bench performance --parts meter`.\n",
		"\n## The client\n\n`bin/bench performance`, 1 rounds, 2026-11-28, version v1.\n\n### Rate\n\nWhy.\n\n",
		"| time | ms | 2.00 | – | – | – | – | – |  |\n",
		"\n## What was tried\n\nNothing helped.\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if strings.Contains(Page(nil, ""), "| machine |") {
		t.Error("a page without results names a machine")
	}
}

func TestResultsSurviveAndAreChecked(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "results")
	if r, err := Load(folder, "meter"); err != nil || len(r.Rounds) != 0 || r.Part != "meter" {
		t.Fatalf("without a file: %+v, %v", r, err)
	}
	saved := Result{Part: "meter", Version: "v1", Rounds: []Round{{"ours": 1.5}}}
	if err := saved.Save(folder); err != nil {
		t.Fatal(err)
	}
	if r, err := Load(folder, "meter"); err != nil || len(r.Rounds) != 1 || r.Rounds[0]["ours"] != 1.5 || r.Version != "v1" {
		t.Fatalf("loaded %+v, %v", r, err)
	}
	for name, text := range map[string]string{"cut short": `{"part": "meter", "rou`, "of another part": `{"part": "client"}`} {
		if err := os.WriteFile(filepath.Join(folder, "meter.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(folder, "meter"); err == nil || !strings.Contains(err.Error(), "remove the file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProcessorIsNamed(t *testing.T) {
	if got := cpuModel([]byte("processor\t: 0\nmodel name\t: AMD EPYC  \nflags\t: fpu\n")); got != "AMD EPYC" {
		t.Errorf("%q", got)
	}
	if got := cpuModel([]byte("BogoMIPS: 38.40\n")); got != "" {
		t.Errorf("%q", got)
	}
	if m := ThisMachine(); m.Cores < 1 || m.Go == "" || !strings.HasPrefix(m.Kernel, "Linux ") {
		t.Errorf("%+v", m)
	}
}

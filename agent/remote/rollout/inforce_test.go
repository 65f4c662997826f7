package rollout

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/commit"
	"meltwatch/durable"
)

// InForce names the model with which the agent starts, whatever the journal says and whatever
// is left of the models, and changes nothing.
func TestInForceIsWhatTheAgentStartsWith(t *testing.T) {
	const product = "../../../inference/models/product"
	first, second := ModelID{Revision: 1, SHA256: strings.Repeat("a", 64)}, ModelID{Revision: 2, SHA256: strings.Repeat("b", 64), Before: strings.Repeat("a", 64)}
	for name, c := range map[string]struct {
		prepare func(j *commit.Journal[ModelID]) error
		damaged []ModelID
		journal string // in place of a prepared one
		want    string
	}{
		"nothing was rolled out":              {want: ""},
		"a model that settled":                {prepare: func(j *commit.Journal[ModelID]) error { return j.Accept(first) }, want: first.SHA256},
		"one on trial":                        {prepare: func(j *commit.Journal[ModelID]) error { return j.Stage(second, first) }, want: second.SHA256},
		"one on trial, damaged":               {prepare: func(j *commit.Journal[ModelID]) error { return j.Stage(second, first) }, damaged: []ModelID{second}, want: first.SHA256},
		"both damaged":                        {prepare: func(j *commit.Journal[ModelID]) error { return j.Stage(second, first) }, damaged: []ModelID{first, second}, want: ""},
		"back to the local one":               {prepare: func(j *commit.Journal[ModelID]) error { return j.Accept(ModelID{Revision: 3}) }, want: ""},
		"the only one damaged":                {prepare: func(j *commit.Journal[ModelID]) error { return j.Accept(first) }, damaged: []ModelID{first}, want: ""},
		"a damaged journal":                   {journal: "{", want: ""},
		"one on trial over the local one":     {prepare: func(j *commit.Journal[ModelID]) error { return j.Stage(second, ModelID{}) }, want: second.SHA256},
		"one on trial over it, which is lost": {prepare: func(j *commit.Journal[ModelID]) error { return j.Stage(second, ModelID{}) }, damaged: []ModelID{second}, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			files := durable.Folder(folder)
			for _, one := range []ModelID{first, second} {
				if err := os.CopyFS(filepath.Join(folder, one.SHA256), os.DirFS(product)); err != nil {
					t.Fatal(err)
				}
			}
			for _, one := range c.damaged {
				if err := os.Remove(filepath.Join(folder, one.SHA256, "golden.json")); err != nil {
					t.Fatal(err)
				}
			}
			if c.journal != "" {
				if err := durable.Replace(files, journalFile, []byte(c.journal)); err != nil {
					t.Fatal(err)
				}
			}
			if c.prepare != nil {
				j, err := commit.Open[ModelID](files, journalFile, "kernel")
				if err == nil {
					err = c.prepare(j)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if packages := Packages(folder); len(packages) != 2 {
				t.Errorf("packages %v", packages)
			}
			before, _ := files.Read(journalFile, 1<<20) //nolint:errcheck // it may be missing
			have := InForce(files, folder, "own")
			if after, _ := files.Read(journalFile, 1<<20); string(after) != string(before) { //nolint:errcheck // as before
				t.Errorf("the journal was changed: %s", after)
			}
			want := "own"
			if c.want != "" {
				want = filepath.Join(folder, c.want)
			}
			_, starts := Open(Settings{Folder: folder, Own: "own", Files: files, KernelBoot: "other kernel", Report: func(message.ModelReport) {}, HTTP: http.DefaultClient, Log: slog.New(slog.DiscardHandler)})
			if have != want || have != starts {
				t.Errorf("in force is %s, want %s; the agent starts with %s", have, want, starts)
			}
		})
	}
}

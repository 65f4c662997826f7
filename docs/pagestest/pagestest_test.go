package pagestest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"a comment and a continued line": {"a b \\\n  c  # d\ne", []string{"a b c", "e"}},
		"a hash within a word":           {"mosquitto_sub -t meltwatch/#", []string{"mosquitto_sub -t meltwatch/#"}},
		"quotes":                         {`a 'b; c' "d | e"`, []string{"a b; c d | e"}},
		"a list and a pipeline":          {"a && b | c; d", []string{"a", "b", "c", "d"}},
		"assignments":                    {"X=1 Y=2 a b=3", []string{"a b=3"}},
		"a redirection":                  {"a > b.txt c", []string{"a c"}},
		"substitutions":                  {`eval "$(a -s env)"; source <(b c)`, []string{"a -s env", "eval ", "b c", "source "}},
		"only an assignment":             {"X=1", nil},
	} {
		var got []string
		for _, one := range Split(c.text, 1) {
			got = append(got, one.Text())
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if all := Split("a \\\n b\n\nc", 7); all[0].Line != 7 || all[1].Line != 10 {
		t.Errorf("lines %+v", all)
	}
}

func TestPage(t *testing.T) {
	page, err := Parse("a.md", "# One `two`, three\n[x](b.md#c) `[y](z)` ![p](q.png)\n```sh\n# not a heading\nrun it\n```\n## Same\n## Same\n| `a`, `b` | `c` |\n")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]bool{"one-two-three": true, "same": true, "same-1": true}, page.Anchors()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"b.md#c", "q.png"}, page.Links()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Command{{Line: 5, Words: []string{"run", "it"}}}, page.Commands()); d != "" {
		t.Error(d)
	}
	inline, err := Parse("c.md", "x\n\ny `run it\n  now` and `run` or `other it`\n\n`run\n\nthis`\n")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]Command{{Line: 3, Words: []string{"run", "it", "now"}}}, inline.Inline("run")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]bool{"a": true, "b": true}, page.FirstCells("Same")); d != "" {
		t.Error(d)
	}
	if _, err := Parse("b.md", "```\nx"); err == nil {
		t.Error("an open block is accepted")
	}
}

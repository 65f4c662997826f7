package meltwatch

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"meltwatch/docs/pagestest"
	"meltwatch/docs/schemas"
)

var (
	namedTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")
	namedPath = regexp.MustCompile("`((?:agent|bench|child|cmd|docs|drivers|durable|fleet|inference|percentile|retry|scripts|simulator|systemd|packaging|commandline)/[A-Za-z0-9_./-]+)`")
)

// Tests and files that the documents name exist.
func TestDocumentsNameWhatExists(t *testing.T) {
	tests := map[string]bool{}
	declared := regexp.MustCompile(`func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == ".deps" || d.Name() == "third_party"):
			return filepath.SkipDir
		case strings.HasSuffix(path, "_test.go"):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, found := range declared.FindAllSubmatch(text, -1) {
				tests[string(found[1])] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range currentPages(t) {
		for _, found := range namedTest.FindAllStringSubmatch(page.Text, -1) {
			if !tests[found[1]] {
				t.Errorf("%s names the test %s", page.Path, found[1])
			}
		}
		for _, found := range namedPath.FindAllStringSubmatch(page.Text, -1) {
			missing(t, page.Path, found[1])
		}
	}
}

// The index of the pages names each page once.
func TestIndexNamesEachPageOnce(t *testing.T) {
	named := map[string]int{}
	for _, page := range currentPages(t) {
		if page.Path != "docs/README.md" {
			continue
		}
		for _, link := range page.Links() {
			link, _, _ = strings.Cut(link, "#")
			named[filepath.Join("docs", link)]++
		}
	}
	for _, page := range append(currentPages(t), pagestest.Page{Path: "docs/proof.md"}) {
		if folder := filepath.Dir(page.Path); folder == "docs" && page.Path != "docs/README.md" && named[page.Path] != 1 {
			t.Errorf("docs/README.md names %s %d times", page.Path, named[page.Path])
		}
	}
}

// The page of the payloads names each of their schemas.
func TestTopicsPageNamesEachSchema(t *testing.T) {
	text, err := os.ReadFile("docs/mqtt.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(text), "JSON Schema")
	list, _, ended := strings.Cut(list, "\n\n")
	if !found || !ended {
		t.Error("docs/mqtt.md has no paragraph on the schemas")
	}
	for _, name := range schemas.Names() {
		if name != "config" && !strings.Contains(list, "`"+name+"`") {
			t.Errorf("docs/mqtt.md does not name the schema %s", name)
		}
	}
}

// Pictures of the pages stay small, because each clone and package carries them.
func TestPicturesAreSmall(t *testing.T) {
	pictures, err := filepath.Glob("docs/pictures/*.png")
	if err != nil || len(pictures) == 0 {
		t.Fatalf("pictures %q, error %v", pictures, err)
	}
	for _, name := range pictures {
		if info, err := os.Stat(name); err != nil || info.Size() > 150_000 {
			t.Errorf("%s: %v, error %v", name, info, err)
		}
	}
}

func missing(t *testing.T, page, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("%s names %s", page, path)
	}
}

// privatePhrases are metaphors and old turns that a reader whose first language is another
// has to guess at, with what to say instead. Pages of releases and proofs stay as they are.
var privatePhrases = map[string]string{
	`\bbefall`: "fault, happen", `\bfor good\b`: "permanently", `\bfor ever\b`: "without limit",
	`\bwhoever\b`: "everyone who", `\bfrom afar\b`: "remote", `\bcomes? round\b`: "is not stuck",
	`\bvouch`: "sign", `\bobey(s|ed)?\b`: "apply, carry out", `\bhears?\b`: "receive",
	`\blets? go of\b`: "end", `\bits own business\b`: "free", `\bdies\b`: "ends, fails",
	`\bthe road of\b`: "the steps of", `\bvictim\b`: "process", `\bnothing is no\b`: "each … is",
}

func TestPagesUsePlainWords(t *testing.T) {
	for phrase, instead := range privatePhrases {
		pattern := regexp.MustCompile("(?i)" + phrase)
		for _, page := range currentPages(t) {
			for i, line := range strings.Split(page.Text, "\n") {
				if found := pattern.FindString(line); found != "" {
					t.Errorf("%s:%d: %q: say %s", page.Path, i+1, found, instead)
				}
			}
		}
	}
}

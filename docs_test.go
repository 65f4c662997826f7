package meltwatch

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	namedTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")
	namedPath = regexp.MustCompile("`((?:agent|bench|child|cmd|docs|drivers|durable|fleet|inference|percentile|retry|scripts|simulator|systemd)/[A-Za-z0-9_./-]+)`")
	linkedTo  = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
)

// Tests, files and pages that the documents name exist.
func TestDocumentsNameWhatExists(t *testing.T) {
	tests := map[string]bool{}
	declared := regexp.MustCompile(`func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`)
	var pages []string
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
		// What a release or a proof once said stays as it was.
		case filepath.Ext(path) == ".md" && path != "CHANGELOG.md" && path != "docs/proof.md":
			pages = append(pages, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range namedTest.FindAllSubmatch(text, -1) {
			if !tests[string(found[1])] {
				t.Errorf("%s names the test %s", page, found[1])
			}
		}
		for _, found := range namedPath.FindAllSubmatch(text, -1) {
			missing(t, page, string(found[1]))
		}
		for _, found := range linkedTo.FindAllSubmatch(text, -1) {
			missing(t, page, filepath.Join(filepath.Dir(page), string(found[1])))
		}
	}
}

func missing(t *testing.T, page, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("%s names %s", page, path)
	}
}

package meltwatch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// privateWords are metaphors that once stood in names; docs/glossary.md has the field's
// terms for them.
var privateWords = map[string]string{
	"brain": "model instance", "voice": "publisher", "eyes": "video source",
	"befall": "fault", "relieve": "replace", "remembers": "last fault", "judge": "decider, detector", "keeper": "spooler",
	"tally": "statistics", "afar": "remote, desired", "victim": "crash worker", "book": "ledger", "cutdisk": "crashfs",
	"vouch": "signature", "obey": "apply", "glance": "peek, probe", "worth": "priority",
	"steady": "ready, consistent", "hear": "subscribe, receive", "talk": "control", "station": "server",
}

// excepted names keep a private word, with the reason.
var excepted = map[string]string{}

// camel splits a name into its words, in lower case.
func camel(name string) (words []string) {
	start := 0
	runes := []rune(name)
	for i := 1; i <= len(runes); i++ {
		if i == len(runes) || unicode.IsUpper(runes[i]) && !unicode.IsUpper(runes[i-1]) || runes[i] == '_' {
			words = append(words, strings.ToLower(strings.Trim(string(runes[start:i]), "_")))
			start = i
		}
	}
	return words
}

func TestNamesUseTheFieldsWords(t *testing.T) {
	complain := func(where, name string) {
		for _, word := range camel(name) {
			if instead, private := privateWords[word]; private && excepted[name] == "" {
				t.Errorf("%s: %s: say %s", where, name, instead)
			}
		}
	}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", ".deps", "third_party", "runs", "data"}, d.Name()) {
				return filepath.SkipDir
			}
			complain(path, d.Name())
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		complain(path, strings.TrimSuffix(strings.TrimSuffix(d.Name(), ".go"), "_test"))
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, name := range declared(file) {
			complain(path, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// declared names the types, functions, constants and variables of a file.
func declared(file *ast.File) (names []string) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names = append(names, d.Name.Name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
				case *ast.ValueSpec:
					for _, n := range s.Names {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return names
}

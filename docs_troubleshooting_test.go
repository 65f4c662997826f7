package meltwatch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"meltwatch/agent/check"
	"meltwatch/docs/pagestest"
)

// constants returns the text constants of a file that belongs to a type, or, for the empty
// type, those without one, whose names match.
func constants(t *testing.T, file, typed, names string) (values []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(names)
	for _, d := range parsed.Decls {
		general, isGeneral := d.(*ast.GenDecl)
		if !isGeneral || general.Tok != token.CONST {
			continue
		}
		for _, s := range general.Specs {
			spec := s.(*ast.ValueSpec)
			of, _ := spec.Type.(*ast.Ident)
			if (of == nil) != (typed == "") || of != nil && of.Name != typed {
				continue
			}
			for i, value := range spec.Values {
				literal, isLiteral := value.(*ast.BasicLit)
				if isLiteral && literal.Kind == token.STRING && named.MatchString(spec.Names[i].Name) {
					text, err := strconv.Unquote(literal.Value)
					if err != nil {
						t.Fatal(err)
					}
					values = append(values, text)
				}
			}
		}
	}
	if len(values) == 0 {
		t.Errorf("%s holds no constant of type %q that matches %s", file, typed, names)
	}
	return values
}

// partNames returns the parts that the agent's code adds to its health.
func partNames(t *testing.T) []string {
	t.Helper()
	added := regexp.MustCompile(`(?i)registry(?:\(\))?\.(?:Add|Put)\("([a-z]+)"`)
	names := map[string]bool{}
	for _, folder := range []string{"agent", "agent/report"} {
		files, err := filepath.Glob(folder + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range added.FindAllStringSubmatch(string(text), -1) {
				names[found[1]] = true
			}
		}
	}
	if len(names) < 13 {
		t.Errorf("only %q found", slices.Sorted(maps.Keys(names)))
	}
	return slices.Sorted(maps.Keys(names))
}

// Each status that the agent can show has a row in docs/troubleshooting.md, below the
// heading that a reader looks under.
func TestTroubleshootingHasARowForEachStatus(t *testing.T) {
	text, err := os.ReadFile("docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := pagestest.Parse("docs/troubleshooting.md", string(text))
	if err != nil {
		t.Fatal(err)
	}
	senses := constants(t, "drivers/drivers.go", "Status", ".")
	without := func(values []string, left ...string) []string {
		return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return slices.Contains(left, v) })
	}
	const statuses = "agent/message/status.go"
	for title, words := range map[string][]string{
		"What check says":          check.Names(),
		"The state":                constants(t, "agent/state/state.go", "State", "."),
		"What decided":             constants(t, "agent/state/state.go", "Source", "."),
		"The current":              without(senses, "black"),
		"The picture":              without(senses, "invalid"),
		"The alarm":                constants(t, "agent/message/alarm.go", "", "^Alarm"),
		"The parts in health":      partNames(t),
		"The status of a part":     {"starting", "ok", "fault"},
		"Changes that do not take": constants(t, statuses, "", "^Appl|^Re|^Roll|^Check|^Shad|^Watch|^Live"),
		"Commands":                 constants(t, statuses, "", "^Done|^Failed|^Rejected"),
		"The clock":                constants(t, "agent/message/payload.go", "", "^Clock"),
	} {
		rows := page.FirstCells(title)
		for _, word := range words {
			if !rows[word] {
				t.Errorf("%q has no row for %s", title, word)
			}
		}
	}
}

// Each counter of what was dropped or lost is explained where a reader looks for it.
func TestTroubleshootingExplainsEachLossCounter(t *testing.T) {
	architecture, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	counters := regexp.MustCompile("`(dropped_[a-z]+|overrun)`").FindAllStringSubmatch(string(architecture), -1)
	if len(counters) < 6 {
		t.Errorf("only %q found", counters)
	}
	for _, found := range counters {
		if !strings.Contains(string(text), "`"+found[1]+"`") {
			t.Errorf("the counter %s is not explained", found[1])
		}
	}
}

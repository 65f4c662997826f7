// Package pagestest reads the Markdown pages, for tests: their headings, links, tables
// and commands. What it reads is what a reader may click or type.
package pagestest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// Page is one Markdown file.
type Page struct {
	// Path is relative to the folder that was read.
	Path string
	// Text is the content. Prose is the same, line for line, without fenced blocks.
	Text, Prose string
	// Blocks are the fenced blocks.
	Blocks []Block
}

// Block is a fenced block.
type Block struct {
	Language string
	Line     int // of its first line of content, from 1
	Text     string
}

// skipped are folders of what is fetched, built or foreign.
var skipped = []string{".git", ".deps", "third_party", "dist", "bin", "runs", "data", "testdata", ".pytest_cache"}

// Read returns every page below a folder. A page whose fence is not closed is an error.
func Read(root string) (pages []Page, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && slices.Contains(skipped, d.Name()):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		page, err := Parse(filepath.ToSlash(relative), string(text))
		pages = append(pages, page)
		return err
	})
	return pages, err
}

// Parse divides a page into prose and fenced blocks.
func Parse(path, text string) (Page, error) {
	page := Page{Path: path, Text: text}
	var prose strings.Builder
	open, fence := -1, ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		marks := trimmed[:len(trimmed)-len(strings.TrimLeft(trimmed, "`"))]
		switch {
		case open < 0 && len(marks) >= 3:
			fence, open = marks, len(page.Blocks)
			page.Blocks = append(page.Blocks, Block{Language: strings.TrimSpace(trimmed[len(marks):]), Line: i + 2})
		case open >= 0 && trimmed == fence:
			open = -1
		case open >= 0:
			page.Blocks[open].Text += line + "\n"
		default:
			prose.WriteString(line)
		}
		prose.WriteByte('\n')
	}
	page.Prose = prose.String()
	if open >= 0 {
		return page, fmt.Errorf("%s:%d: the fenced block is not closed", path, page.Blocks[open].Line-1)
	}
	return page, nil
}

var (
	heading  = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
	linked   = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	codeSpan = regexp.MustCompile("`((?:[^`\n]|\n[^`\n])+)`") // it ends at an empty line
	target   = regexp.MustCompile(`\]\(\s*<?([^)>\s]+)>?(?:\s+"[^"]*")?\s*\)`)
	picture  = regexp.MustCompile(`(?i)<img[^>]*\ssrc="([^"]+)"`)
)

// Anchors are the names of the page's headings, as GitHub makes them: lower case, without
// punctuation, a space as a hyphen, a repetition numbered.
func (p Page) Anchors() map[string]bool {
	anchors := map[string]bool{}
	for line := range strings.Lines(p.Prose) {
		found := heading.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if found == nil {
			continue
		}
		name := anchor(linked.ReplaceAllString(found[1], "$1"))
		for i, base := 1, name; anchors[name]; i++ {
			name = fmt.Sprintf("%s-%d", base, i)
		}
		anchors[name] = true
	}
	return anchors
}

func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
			return unicode.ToLower(r)
		default:
			return -1
		}
	}, title)
}

// Links are the targets of the page's links and pictures, outside code.
func (p Page) Links() (links []string) {
	prose := codeSpan.ReplaceAllString(p.Prose, "code")
	for _, pattern := range []*regexp.Regexp{target, picture} {
		for _, found := range pattern.FindAllStringSubmatch(prose, -1) {
			links = append(links, found[1])
		}
	}
	return links
}

// FirstCells returns the words in code in the first cells of the tables below a heading,
// up to the next heading.
func (p Page) FirstCells(title string) map[string]bool {
	cells, inside := map[string]bool{}, false
	for line := range strings.Lines(p.Prose) {
		line = strings.TrimSpace(line)
		if found := heading.FindStringSubmatch(line); found != nil {
			inside = strings.ReplaceAll(found[1], "`", "") == title
		}
		if !inside || !strings.HasPrefix(line, "|") {
			continue
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, found := range codeSpan.FindAllStringSubmatch(first, -1) {
			cells[found[1]] = true
		}
	}
	return cells
}

// Parses fails the test for each command of a program, in the pages below root, that parse
// refuses. The files are made in the folder in which the commands are parsed. The
// exceptions, by their text, are no command lines; the value is the reason.
func Parses(t *testing.T, root, program string, files []string, exceptions map[string]string, parse func(arguments []string) error) {
	t.Helper()
	pages, err := Read(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for _, name := range files {
		if err := create(name); err != nil {
			t.Fatal(err)
		}
	}
	used, parsed := map[string]bool{}, 0
	check := func(page Page, c Command, whole bool) {
		if exceptions[c.Text()] != "" {
			used[c.Text()] = true
			return
		}
		if c.Program() != program {
			return
		}
		parsed++
		arguments := slices.DeleteFunc(slices.Clone(c.Words[1:]), func(word string) bool { return word == "--help" })
		whole = whole && len(arguments) == len(c.Words)-1
		if err := parse(arguments); err != nil && (whole || !incomplete(err)) {
			t.Errorf("%s:%d: %s: %v", page.Path, c.Line, c.Text(), err)
		}
	}
	for _, page := range pages {
		if page.Historical() {
			continue
		}
		for _, c := range page.Commands() {
			check(page, c, true)
		}
		for _, c := range page.Inline(program) {
			check(page, c, false)
		}
	}
	if parsed == 0 {
		t.Errorf("the pages hold no command of %s", program)
	}
	for text := range exceptions {
		if !used[text] {
			t.Errorf("no page holds the exception %q", text)
		}
	}
}

// Names fails the test for each command, such as "meltctl config set", that no page below
// root names.
func Names(t *testing.T, root string, commands []string) {
	t.Helper()
	pages, err := Read(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		named := regexp.MustCompile(`\b` + strings.ReplaceAll(regexp.QuoteMeta(command), " ", `\s+`) + `\b`)
		if !slices.ContainsFunc(pages, func(p Page) bool { return !p.Historical() && named.MatchString(p.Text) }) {
			t.Errorf("no page names %s", command)
		}
	}
}

// Historical tells that a page says what was true of a release or a run: it is not kept up
// to date.
func (p Page) Historical() bool { return p.Path == "CHANGELOG.md" || p.Path == "docs/proof.md" }

// incomplete tells that a parser wants more than a text holds which only names a command
// or a flag.
func incomplete(err error) bool {
	return strings.HasPrefix(err.Error(), "missing flags") || strings.HasPrefix(err.Error(), "expected ")
}

// create makes an empty file, or a folder if the name ends in a slash.
func create(name string) error {
	if strings.HasSuffix(name, "/") {
		return os.MkdirAll(name, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, nil, 0o600)
}

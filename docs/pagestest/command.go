package pagestest

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// Command is one simple command of a page: a program and its arguments.
type Command struct {
	Line  int // of the page, from 1
	Words []string
}

// Program is the program's name, without its folder.
func (c Command) Program() string { return path.Base(c.Words[0]) }

// Text is the command on one line.
func (c Command) Text() string { return strings.Join(c.Words, " ") }

// ours are the programs whose commands count in blocks without a language, too: a writer
// may forget to mark a block.
var ours = []string{"meltwatch", "meltctl", "furnace-sim", "bench", "make", "python"}

// Commands are the simple commands of the page's blocks marked sh, and those of our own
// programs in blocks that are not marked. Commands of a pipeline, a list or a substitution
// are separate; assignments before a command and redirections are left out.
func (p Page) Commands() (commands []Command) {
	for _, b := range p.Blocks {
		switch b.Language {
		case "sh":
			commands = append(commands, Split(b.Text, b.Line)...)
		case "bash", "shell", "console", "":
			for _, c := range Split(b.Text, b.Line) {
				if len(c.Words) > 1 && slices.Contains(ours, c.Program()) {
					commands = append(commands, c)
				}
			}
		}
	}
	return commands
}

// Inline are the commands of a program that the prose names between backticks, also over
// the end of a line, with at least one word behind the program's name.
func (p Page) Inline(program string) (commands []Command) {
	line := 1
	for paragraph := range strings.SplitSeq(p.Prose, "\n\n") {
		for _, at := range codeSpan.FindAllStringSubmatchIndex(paragraph, -1) {
			text := strings.Join(strings.Fields(paragraph[at[2]:at[3]]), " ")
			for _, c := range Split(text, line+strings.Count(paragraph[:at[2]], "\n")) {
				if c.Program() == program && len(c.Words) > 1 {
					commands = append(commands, c)
				}
			}
		}
		line += strings.Count(paragraph, "\n") + 2
	}
	return commands
}

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// Split divides a shell text, whose first line has the given number, into its simple
// commands. It knows quotes, comments, continued lines, lists, pipelines, substitutions
// and redirections; not here-documents and compound commands.
func Split(text string, line int) []Command {
	s := splitter{line: line, began: line}
	for i := 0; i < len(text); i++ {
		i += s.take(text[i:]) - 1
	}
	s.endCommand()
	return s.commands
}

type splitter struct {
	commands    []Command
	words       []string
	word        strings.Builder
	inWord      bool
	quote       byte // ' or ", 0 outside
	redirect    bool // the next word is a file
	line, began int
}

// take reads what text begins with and returns its length, at least 1.
func (s *splitter) take(text string) int {
	c := text[0]
	if c == '\n' {
		s.line++
	}
	switch {
	case s.quote == '"' && strings.HasPrefix(text, "$("):
		// The command in the substitution is run too.
		return 2 + s.substituted(text[2:])
	case s.quote != 0 && c == s.quote:
		s.quote = 0
	case s.quote == '\'' || s.quote != 0 && c != '\\':
		s.add(c)
	case strings.HasPrefix(text, "\\\n"):
		s.line++
		return 2
	case c == '\\' && len(text) > 1:
		s.add(text[1])
		return 2
	case c == '\'' || c == '"':
		s.quote, s.inWord = c, true
	case c == '#' && !s.inWord:
		if end := strings.IndexByte(text, '\n'); end > 0 {
			return end
		}
		return len(text)
	case strings.HasPrefix(text, "<(") || strings.HasPrefix(text, "$("):
		return 2 + s.substituted(text[2:])
	case c == '>' || c == '<':
		s.endWord()
		s.redirect = true
	case strings.IndexByte("\n;&|()", c) >= 0:
		s.endCommand()
	case c == ' ' || c == '\t':
		s.endWord()
	default:
		s.add(c)
	}
	return 1
}

// substituted reads a command up to the closing bracket and returns the length read.
func (s *splitter) substituted(text string) int {
	end := strings.IndexByte(text, ')')
	if end < 0 {
		end = len(text) - 1
	}
	s.inWord = true
	s.commands = append(s.commands, Split(text[:end], s.line)...)
	return end + 1
}

func (s *splitter) add(c byte) {
	s.word.WriteByte(c)
	s.inWord = true
}

func (s *splitter) endWord() {
	word := s.word.String()
	s.word.Reset()
	switch {
	case !s.inWord:
		return
	case s.redirect:
		s.redirect = false
	case len(s.words) == 0 && assignment.MatchString(word):
	default:
		if len(s.words) == 0 {
			s.began = s.line
		}
		s.words = append(s.words, word)
	}
	s.inWord = false
}

func (s *splitter) endCommand() {
	s.endWord()
	if len(s.words) > 0 && s.words[0] != "" {
		s.commands = append(s.commands, Command{Line: s.began, Words: s.words})
	}
	s.words = nil
}

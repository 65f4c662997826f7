package commandline

import (
	"strings"

	"github.com/alecthomas/kong"
	mangokong "github.com/alecthomas/mango-kong"
)

// manual is the flag that prints the manual page. The library makes a paragraph of each
// line of a help text, so lines that only wrap are joined before.
type manual bool

// BeforeApply prints the page and ends the program.
func (m manual) BeforeApply(app *kong.Kong) error {
	err := kong.Visit(app.Model, func(node kong.Visitable, next kong.Next) error {
		if command, ok := node.(*kong.Node); ok && command.Detail != "" {
			command.Detail = "\n" + paragraphs(command.Detail) // the library writes it behind the command's name
		}
		return next(nil)
	})
	if err != nil {
		return err
	}
	return mangokong.ManFlag(m).BeforeApply(app)
}

// paragraphs returns one line for each paragraph; indented lines stay as they are.
func paragraphs(text string) string {
	var all []string
	joins := false // the last line is open for more of its paragraph
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch plain := line != "" && line[0] != ' '; {
		case plain && joins:
			all[len(all)-1] += " " + line
		case line != "":
			all = append(all, line)
			joins = plain
		default:
			joins = false
		}
	}
	return strings.Join(all, "\n")
}

package fleet

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// plain makes a safe line of text from the broker: characters that would move the
// cursor, colour the screen or break a table are shown as �.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// Printable makes a text of several lines safe to print: what came from a broker
// cannot move the cursor of a terminal.
func Printable(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = plain(line)
	}
	return strings.Join(lines, "\n")
}

// short bounds a cell: one agent must not push the others off the screen.
func short(cell string) string {
	const most = 64
	if runes := []rune(cell); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return cell
}

// say prints a line. A terminal that went away is no fault of the fleet.
func say(out io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintln(out, plain(fmt.Sprintf(format, args...)))
}

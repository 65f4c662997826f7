package fleet

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// printableLine makes a line of text from the broker safe to print: characters that would
// move the cursor, colour the screen or break a table are shown as �.
func printableLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// Printable makes a text of several lines safe to print: a payload from the broker
// cannot move the terminal's cursor.
func Printable(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printableLine(line)
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

// printLine ignores write errors: a closed terminal must not stop a roll-out.
func printLine(out io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintln(out, printableLine(fmt.Sprintf(format, args...)))
}

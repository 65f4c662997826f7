package rig

import (
	"fmt"
	"os"
	"strings"
)

// Insert replaces the text between two marks of a page. Without a page it does nothing.
func Insert(page, mark, text string) error {
	if page == "" {
		return nil
	}
	before, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+mark+" -->\n", "<!-- /"+mark+" -->"
	head, rest, found := strings.Cut(string(before), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("%s: missing line %q or %q", page, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(page, []byte(head+begin+text+end+tail), 0o644) //nolint:gosec // a page of the documentation
}

package config

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one fault of a configuration.
type Problem struct {
	// Key is the path of the setting, such as meters.main.unit; empty for the
	// document as a whole.
	Key string
	// Line in the document, 0 where the setting is missing from it.
	Line int
	// Message says what is wrong and what to do about it.
	Message string
}

func (p Problem) String() string {
	where := p.Key
	if p.Line > 0 {
		where = strings.TrimSpace(fmt.Sprintf("%s (line %d)", p.Key, p.Line))
	}
	if where == "" {
		return p.Message
	}
	return where + ": " + p.Message
}

// Problems are the faults of a configuration, in the order of the keys: the first
// mostProblems that were found, and how many more there are.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// mostProblems bounds how many faults of one document are told: a hostile one may
// have ten thousands.
const mostProblems = 20

// findings gathers faults. Beyond mostProblems they are counted.
type findings struct {
	told Problems
	more int
	keys map[string]bool // that a fault was found with
}

func (f *findings) add(key string, line int, format string, args ...any) {
	if f.keys == nil {
		f.keys = map[string]bool{}
	}
	f.keys[key] = true
	if f.full() {
		f.more++
		return
	}
	f.told = append(f.told, Problem{key, line, fmt.Sprintf(format, args...)})
}

// full reports whether a further fault is only counted, so that nobody words it.
func (f *findings) full() bool { return len(f.told) == mostProblems }

// join adds what was found elsewhere.
func (f *findings) join(other findings) {
	room := min(mostProblems-len(f.told), len(other.told))
	f.told = append(f.told, other.told[:room]...)
	f.more += other.more + len(other.told) - room
}

// err is nil when there is no fault.
func (f *findings) err() error {
	if len(f.told) == 0 {
		return nil
	}
	sorted := slices.Clone(f.told)
	slices.SortStableFunc(sorted, func(a, b Problem) int { return strings.Compare(a.Key, b.Key) })
	if f.more > 0 {
		sorted = append(sorted, Problem{Message: fmt.Sprintf("and %d more", f.more)})
	}
	return sorted
}

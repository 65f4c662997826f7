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
	// Newer says that release 0.3.0 accepted this: a box that ran with it must still
	// start (see Tolerate).
	Newer bool
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

// mostProblems limits the reported faults of one document: a hostile one may have
// tens of thousands.
const mostProblems = 20

// findings gathers faults. Beyond mostProblems they are counted.
type findings struct {
	told Problems
	more int
	keys map[string]bool // that a fault was found with
	// older says that one of them breaks an older rule, reported or not.
	older bool
}

// newer marks the message of a rule that release 0.3.0 did not have.
const newer = "\x00"

func (f *findings) add(key string, line int, format string, args ...any) {
	if f.keys == nil {
		f.keys = map[string]bool{}
	}
	f.keys[key] = true
	format, isNewer := strings.CutPrefix(format, newer)
	f.older = f.older || !isNewer
	if f.full() {
		f.more++
		return
	}
	f.told = append(f.told, Problem{Key: key, Line: line, Message: fmt.Sprintf(format, args...), Newer: isNewer})
}

// full reports whether further faults are only counted, so that no message needs to
// be built.
func (f *findings) full() bool { return len(f.told) == mostProblems }

// join adds what was found elsewhere.
func (f *findings) join(other findings) {
	room := min(mostProblems-len(f.told), len(other.told))
	f.told = append(f.told, other.told[:room]...)
	f.more += other.more + len(other.told) - room
	f.older = f.older || other.older
}

// err is nil when there is no fault.
func (f *findings) err() error {
	if len(f.told) == 0 {
		return nil
	}
	return f.sorted()
}

func (f *findings) sorted() Problems {
	sorted := slices.Clone(f.told)
	slices.SortStableFunc(sorted, func(a, b Problem) int { return strings.Compare(a.Key, b.Key) })
	if f.more > 0 {
		sorted = append(sorted, Problem{Message: fmt.Sprintf("and %d more", f.more)})
	}
	return sorted
}

// failed is one fault of the document as a whole.
func failed(err error) (f findings) {
	f.add("", 0, "%s", err)
	return f
}

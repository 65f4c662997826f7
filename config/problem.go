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
	// Newer is set if release 0.3.0 accepted this: a box that ran with it must still
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
// maxProblems that were found, and how many more there are.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// maxProblems limits the reported faults of one document: a hostile one may have
// tens of thousands.
const maxProblems = 20

// problemList collects faults. Beyond maxProblems they are only counted.
type problemList struct {
	reported Problems
	more     int
	keys     map[string]bool // with a fault
	// olderRule is set if one of them, reported or not, breaks a rule of release 0.3.0.
	olderRule bool
}

// newer marks the message of a rule that release 0.3.0 did not have.
const newer = "\x00"

func (f *problemList) add(key string, line int, format string, args ...any) {
	if f.keys == nil {
		f.keys = map[string]bool{}
	}
	f.keys[key] = true
	format, isNewer := strings.CutPrefix(format, newer)
	f.olderRule = f.olderRule || !isNewer
	if f.full() {
		f.more++
		return
	}
	f.reported = append(f.reported, Problem{Key: key, Line: line, Message: fmt.Sprintf(format, args...), Newer: isNewer})
}

// full reports whether further faults are only counted, so that no message needs to
// be built.
func (f *problemList) full() bool { return len(f.reported) == maxProblems }

// merge adds the faults of another list.
func (f *problemList) merge(other problemList) {
	room := min(maxProblems-len(f.reported), len(other.reported))
	f.reported = append(f.reported, other.reported[:room]...)
	f.more += other.more + len(other.reported) - room
	f.olderRule = f.olderRule || other.olderRule
}

// err is nil when there is no fault.
func (f *problemList) err() error {
	if len(f.reported) == 0 {
		return nil
	}
	return f.sorted()
}

func (f *problemList) sorted() Problems {
	sorted := slices.Clone(f.reported)
	slices.SortStableFunc(sorted, func(a, b Problem) int { return strings.Compare(a.Key, b.Key) })
	if f.more > 0 {
		sorted = append(sorted, Problem{Message: fmt.Sprintf("and %d more", f.more)})
	}
	return sorted
}

// documentProblem is one fault of the document as a whole.
func documentProblem(err error) (f problemList) {
	f.add("", 0, "%s", err)
	return f
}

// KeyError is an error about one setting.
type KeyError struct {
	Key string // such as camera.url
	Err error
}

// KeyErrorf returns a KeyError with a formatted cause.
func KeyErrorf(key, format string, args ...any) error {
	return &KeyError{Key: key, Err: fmt.Errorf(format, args...)}
}

// Error starts with the key.
func (e *KeyError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *KeyError) Unwrap() error { return e.Err }

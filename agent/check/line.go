package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"meltwatch/config"
)

// Status is the result in a line.
type Status string

// The results. Only Fail makes the command fail.
const (
	OK   Status = "ok"
	Warn Status = "warn" // the agent works, but not as well as it could
	Fail Status = "fail"
	Skip Status = "skip" // not checked; the detail gives the reason
)

// Line is one line of the output, and one JSON object with --json.
type Line struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	// Key is the setting at fault, or empty; of several the separator is ", ".
	Key string `json:"key"`
	// Line is the line of the setting in the configuration file, or 0.
	Line int `json:"line,omitempty"`
	// Detail is what was found, with the remedy of a fault.
	Detail string `json:"detail"`

	cause error // of a failure
}

// print writes the line. A closed terminal is not a fault of what was checked.
func (l Line) print(out io.Writer, asJSON bool) {
	l.Detail = strings.ReplaceAll(l.Detail, "\n", "; ")
	if asJSON {
		text, err := json.Marshal(l)
		if err != nil { // cannot happen: all fields are texts and numbers
			return
		}
		_, _ = fmt.Fprintf(out, "%s\n", text)
		return
	}
	mark := string(l.Status)
	if l.Status == Fail {
		mark = "FAIL"
	}
	where := l.Key
	if l.Line > 0 {
		where = strings.TrimSpace(fmt.Sprintf("%s (line %d)", l.Key, l.Line))
	}
	if where != "" && l.Status != OK {
		where += ": "
	} else {
		where = ""
	}
	_, _ = fmt.Fprintf(out, "%-4s %-10s %s%s\n", mark, l.Check, where, l.Detail)
}

func success(format string, args ...any) outcome {
	return outcome{lines: []Line{{Status: OK, Detail: fmt.Sprintf(format, args...)}}}
}

func skipped(why string) outcome {
	return outcome{lines: []Line{{Status: Skip, Detail: why}}}
}

// keyed finds the settings that an error names at its start.
var keyed = regexp.MustCompile(`^((?:(?:site|furnace|meters|camera|model|state|mqtt|outbox|remote|trust|commands|recorder|alarm|web|metrics|log|paths)(?:\.[\w-]+)*(?:, )?)+): `)

// failure returns a line for each of joined errors.
func failure(err error) outcome {
	var o outcome
	for _, one := range separate(err) {
		o.lines = append(o.lines, failed(one))
	}
	return o
}

func failed(err error) Line {
	if one, ok := errors.AsType[problem](err); ok {
		return Line{Status: Fail, Key: one.Key, Line: one.Line, Detail: one.Message, cause: err}
	}
	l := Line{Status: Fail, Detail: err.Error(), cause: err}
	if found := keyed.FindStringSubmatch(l.Detail); found != nil {
		l.Key, l.Detail = found[1], l.Detail[len(found[0]):]
	}
	return l
}

// problem is one fault of the configuration, as an error.
type problem config.Problem

func (p problem) Error() string { return config.Problem(p).String() }

// separate divides what errors.Join has joined, and the faults of a configuration.
func separate(err error) []error {
	if all, ok := errors.AsType[config.Problems](err); ok {
		var found []error
		for _, p := range all {
			found = append(found, problem(p))
		}
		return found
	}
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // only the outermost error may be divided
	if !ok {
		return []error{err}
	}
	var found []error
	var texts []string
	for _, one := range joined.Unwrap() {
		found = append(found, separate(one)...)
		texts = append(texts, one.Error())
	}
	if strings.Join(texts, "\n") != err.Error() { // joined by a format, not by errors.Join
		return []error{err}
	}
	return found
}

// from returns the outcome of a check that returns a text or an error.
func from(detail string, err error) outcome {
	if err != nil {
		return failure(err)
	}
	return success("%s", detail)
}

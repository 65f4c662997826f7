package config

import (
	"fmt"
	"sort"
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

// Problems is every fault of a configuration, in the order of the keys.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) add(key string, line int, format string, args ...any) {
	*p = append(*p, Problem{key, line, fmt.Sprintf(format, args...)})
}

// err is nil when there is no problem.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	sort.SliceStable(p, func(i, j int) bool { return p[i].Key < p[j].Key })
	return p
}

package message

import (
	"fmt"
	"strings"
)

// Fault is one reason, with the setting or part that it concerns.
type Fault struct {
	Key     string `json:"key"`
	Message string `json:"message"`
}

// OneFault returns a list with one fault.
func OneFault(key, message string) []Fault { return []Fault{{Key: key, Message: message}} }

const (
	mostFaults     = 21 // 20 and how many more
	longestKey     = 256
	longestMessage = 1024
)

// Bounded limits a list of faults to the length of a report. The result is never nil.
func Bounded(faults []Fault) []Fault {
	told := make([]Fault, 0, min(len(faults), mostFaults))
	for i, f := range faults {
		if i == mostFaults-1 && len(faults) > mostFaults {
			return append(told, Fault{Message: fmt.Sprintf("and %d more", len(faults)-i)})
		}
		told = append(told, Fault{clip(f.Key, longestKey), clip(f.Message, longestMessage)})
	}
	return told
}

func clip(text string, most int) string {
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

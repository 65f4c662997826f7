// Package strict decodes remote documents: one JSON object of limited size, in
// valid UTF-8, without unknown or duplicate members. encoding/json alone would use
// the last of two duplicate members, accept Revision for revision, and replace
// invalid bytes with U+FFFD. A signature over such a document could then cover
// something other than what its signer read.
//
// The work is linear in the payload, and an error repeats at most a few words of it.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// maxError limits an error message, in bytes.
const maxError = 300

// Decode decodes a payload of at most `most` bytes. The error wraps that of
// encoding/json, if there is one.
func Decode(payload []byte, most int, into any) error {
	return decode(payload, most, into, true)
}

// DecodeKnown is Decode for a reader that may be older than the writer: it ignores unknown
// members.
func DecodeKnown(payload []byte, most int, into any) error {
	return decode(payload, most, into, false)
}

func decode(payload []byte, most int, into any, onlyKnown bool) error {
	if len(payload) > most {
		return fmt.Errorf("the payload has %d bytes, the most is %d", len(payload), most)
	}
	w := walker{text: payload, onlyKnown: onlyKnown}
	if err := w.check(reflect.TypeOf(into)); err != nil {
		return err
	}
	if first := bytes.TrimLeft(payload, " \t\r\n"); first[0] != '{' {
		return fmt.Errorf("want a JSON object, found %.20q", first)
	}
	if err := json.Unmarshal(payload, into); err != nil {
		return shortError{err}
	}
	return nil
}

// Check verifies a document except for its members' names.
func Check(text []byte) error {
	w := walker{text: text}
	return w.check(nil)
}

// shortError shortens an error message: json's own may repeat the payload.
type shortError struct{ err error }

// Error returns the beginning of json's message.
func (s shortError) Error() string {
	words := s.err.Error()
	if len(words) > maxError {
		words = string(bytes.ToValidUTF8([]byte(words[:maxError]), nil)) + "…"
	}
	return words
}

// Unwrap returns json's error.
func (s shortError) Unwrap() error { return s.err }

func checkJSON(text []byte) error {
	if tooDeep(text) {
		return fmt.Errorf("nested deeper than %d levels: reduce the nesting", maxDepth)
	}
	var raw json.RawMessage
	switch err := json.Unmarshal(text, &raw); {
	case err == nil:
		return nil
	case strings.HasSuffix(err.Error(), "after top-level value"):
		return errors.New("more follows the JSON object: send a single object")
	default:
		return fmt.Errorf("not JSON: %w", shortError{err})
	}
}

// tooDeep reports whether a text, JSON or not, exceeds maxDepth.
func tooDeep(text []byte) bool {
	depth, quoted := 0, false
	for at := 0; at < len(text); at++ {
		switch c := text[at]; {
		case quoted && c == '\\':
			at++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// TextError is the fault of one string.
type TextError struct {
	// Key is the path of the string, its members joined by dots.
	Key   string
	fault string
}

// Error starts with the key.
func (e TextError) Error() string { return e.Key + ": " + e.fault }

package strict

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxDepth bounds nesting; the agent's deepest document has 8 levels.
	maxDepth = 64
	// maxNumber bounds a number's digits; a float64 is written in 24.
	maxNumber = 64
)

// walker checks a text that is valid JSON in one pass.
type walker struct {
	text      []byte
	at        int
	onlyKnown bool
	stack     []level
}

// level is an open object or list.
type level struct {
	object bool
	named  bool            // the next string is a member's name
	seen   map[string]bool // of an object
	name   string          // of the current member
	// kind is what the level is decoded into, nil where its members may have any
	// name; member is the kind of the value that follows.
	kind, member reflect.Type
}

func (w *walker) check(kind reflect.Type) error {
	if err := checkJSON(w.text); err != nil {
		return err
	}
	for w.at < len(w.text) {
		if err := w.next(kind); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) next(kind reflect.Type) error {
	switch c := w.text[w.at]; c {
	case '{', '[':
		w.open(c == '{', kind)
		return nil
	case '}', ']':
		w.stack = w.stack[:len(w.stack)-1]
	case ',':
		top := &w.stack[len(w.stack)-1]
		top.named = top.object
	case '"':
		return w.quoted()
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return w.number()
	}
	w.at++
	return nil
}

func (w *walker) open(object bool, kind reflect.Type) {
	if len(w.stack) > 0 {
		kind = w.stack[len(w.stack)-1].member
	}
	l := level{object: object, named: object, kind: decodedKind(kind)}
	if object {
		l.seen = map[string]bool{}
	} else if l.kind != nil && (l.kind.Kind() == reflect.Slice || l.kind.Kind() == reflect.Array) {
		l.member = l.kind.Elem()
	}
	w.stack = append(w.stack, l)
	w.at++
}

// decodedKind is the type behind pointers; nil for one that decodes itself or takes
// anything.
func decodedKind(kind reflect.Type) reflect.Type {
	for kind != nil && kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	if kind == nil || kind.Kind() == reflect.Interface || reflect.PointerTo(kind).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return nil
	}
	return kind
}

// quoted reads one string, a value or a member's name.
func (w *walker) quoted() error {
	begin := w.at
	for w.at++; w.text[w.at] != '"'; w.at++ {
		if w.text[w.at] != '\\' {
			continue
		}
		w.at++
		if w.text[w.at] == 'u' {
			if err := w.surrogates(); err != nil {
				return err
			}
		}
	}
	w.at++
	if !utf8.Valid(w.text[begin:w.at]) {
		return TextError{w.path(), "is not valid UTF-8: write it as UTF-8"}
	}
	if len(w.stack) == 0 || !w.stack[len(w.stack)-1].named {
		return nil
	}
	top := &w.stack[len(w.stack)-1]
	top.named = false
	var name string
	if err := json.Unmarshal(w.text[begin:w.at], &name); err != nil {
		return err
	}
	return w.name(top, name)
}

// surrogates reads an escape \u0000, and a second one if the first is half of a pair. It
// leaves the last digit to the caller.
func (w *walker) surrogates() error {
	first := w.hex(w.at + 1)
	w.at += 4
	switch {
	case first >= 0xDC00 && first <= 0xDFFF:
		return TextError{w.path(), fmt.Sprintf("\\u%04x is half a surrogate pair: write the whole character", first)}
	case first < 0xD800 || first > 0xDFFF:
		return nil
	}
	if w.text[w.at+1] != '\\' || w.text[w.at+2] != 'u' {
		return TextError{w.path(), fmt.Sprintf("\\u%04x is half a surrogate pair: write the whole character", first)}
	}
	if second := w.hex(w.at + 3); second < 0xDC00 || second > 0xDFFF {
		return TextError{w.path(), fmt.Sprintf("\\u%04x\\u%04x is not a surrogate pair: write the whole character", first, second)}
	}
	w.at += 6
	return nil
}

func (w *walker) hex(at int) uint64 {
	n, err := strconv.ParseUint(string(w.text[at:at+4]), 16, 16)
	if err != nil {
		return 0 // impossible: the text is valid JSON
	}
	return n
}

func (w *walker) number() error {
	begin := w.at
	for w.at < len(w.text) && strings.IndexByte("+-.0123456789eE", w.text[w.at]) >= 0 {
		w.at++
	}
	if n := w.at - begin; n > maxNumber {
		return fmt.Errorf("a number of %d digits: at most %d are allowed", n, maxNumber)
	}
	return nil
}

// name checks a member's name.
func (w *walker) name(top *level, name string) error {
	twice := top.seen[name]
	top.seen[name], top.name, top.member = true, name, nil
	if twice {
		return fmt.Errorf("%s: given twice: keep one", w.path())
	}
	switch {
	case top.kind == nil:
		return nil
	case top.kind.Kind() == reflect.Map:
		top.member = top.kind.Elem()
		return nil
	case top.kind.Kind() != reflect.Struct:
		return nil
	}
	var like string
	member, known := find(top.kind, name, &like)
	switch {
	case known:
		top.member = member
	case like != "":
		return fmt.Errorf("unknown member %s: write %s", w.path(), like)
	case w.onlyKnown:
		return fmt.Errorf("unknown member %s: remove it", w.path())
	}
	return nil
}

// path is the current member's path.
func (w *walker) path() string {
	var names []string
	for _, l := range w.stack[max(0, len(w.stack)-8):] {
		if name := strings.Trim(strconv.QuoteToASCII(l.name), `"`); l.object {
			names = append(names, fmt.Sprintf("%.64s", name))
		}
	}
	return strings.Join(names, ".")
}

// find looks a member up in a struct and those embedded in it. like is the member
// that encoding/json would match to the name.
func find(kind reflect.Type, name string, like *string) (reflect.Type, bool) {
	for i := range kind.NumField() {
		field := kind.Field(i)
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && tag == "":
			if found, ok := find(field.Type, name, like); ok {
				return found, true
			}
		case cmp.Or(tag, field.Name) == name:
			return field.Type, true
		case strings.EqualFold(cmp.Or(tag, field.Name), name):
			*like = cmp.Or(tag, field.Name)
		}
	}
	return nil, false
}

package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// defaulter is a section whose values in a map start from defaults of their own.
type defaulter interface{ withDefaults() any }

var durationType = reflect.TypeFor[time.Duration]()

// decoder fills a struct from a YAML document and collects every fault instead of
// stopping at the first. It records the line of each key, so that later checks can name
// it too.
type decoder struct {
	problems problemList
	lines    map[string]int
}

const (
	// maxNamed bounds the entries of a named section, such as meters; maxListed those
	// of a list.
	maxNamed  = 64
	maxListed = 64
	// maxText bounds a text in bytes, as Linux bounds a path.
	maxText = 4096
)

func (d *decoder) value(node *yaml.Node, into reflect.Value, key string) {
	d.lines[key] = node.Line
	if node.Kind == yaml.AliasNode || node.Anchor != "" {
		d.problems.add(key, node.Line, "anchors and aliases are not supported: write the value out")
		return
	}
	if node.Tag == "!!null" { // a key without a value keeps its default
		return
	}
	switch {
	case into.Kind() == reflect.Struct:
		d.section(node, into, key)
	case into.Kind() == reflect.Map:
		d.named(node, into, key)
	case into.Kind() == reflect.Slice:
		d.list(node, into, key)
	case node.Kind != yaml.ScalarNode:
		d.problems.add(key, node.Line, "want %s, found a section or a list", kindName(into.Type()))
	default:
		d.scalar(node, into, key)
	}
}

// list decodes a sequence of plain values.
func (d *decoder) list(node *yaml.Node, into reflect.Value, key string) {
	if node.Kind != yaml.SequenceNode {
		d.problems.add(key, node.Line, "want a list such as [1, 2], found %s", nodeName(node))
		return
	}
	if len(node.Content) > maxListed {
		d.problems.add(key, node.Line, "has %d values: at most %d are allowed", len(node.Content), maxListed)
		return
	}
	values := reflect.MakeSlice(into.Type(), len(node.Content), len(node.Content))
	for i, one := range node.Content {
		d.value(one, values.Index(i), fmt.Sprintf("%s.%d", key, i))
	}
	into.Set(values)
}

// section decodes a mapping into the struct's fields by their yaml names.
func (d *decoder) section(node *yaml.Node, into reflect.Value, key string) {
	fields := map[string]reflect.Value{}
	for i := range into.NumField() {
		fields[into.Type().Field(i).Tag.Get("yaml")] = into.Field(i)
	}
	d.pairs(node, key, func(name string, nameNode, valueNode *yaml.Node) {
		path := join(key, name)
		field, known := fields[name]
		if !known {
			if d.problems.full() { // a fault that is only counted needs no suggestion
				d.problems.add(path, nameNode.Line, "")
				return
			}
			d.problems.add(path, nameNode.Line, "unknown key: %s", suggest(name, fields))
			return
		}
		d.value(valueNode, field, path)
	})
}

// named decodes a mapping of names to sections.
func (d *decoder) named(node *yaml.Node, into reflect.Value, key string) {
	if count := len(node.Content) / 2; node.Kind == yaml.MappingNode && count > maxNamed {
		d.problems.add(key, node.Line, newer+"has %d entries: at most %d are allowed", count, maxNamed)
	}
	if into.IsNil() && len(node.Content) > 0 { // an empty section equals an absent one
		into.Set(reflect.MakeMap(into.Type()))
	}
	d.pairs(node, key, func(name string, nameNode, valueNode *yaml.Node) {
		path := join(key, name)
		if !ValidName(name) {
			d.problems.add(path, nameNode.Line, "invalid name: use 1–64 letters, digits, - or _")
			return
		}
		element := reflect.New(into.Type().Elem()).Elem()
		if section, ok := element.Interface().(defaulter); ok {
			element.Set(reflect.ValueOf(section.withDefaults()))
		}
		d.value(valueNode, element, path)
		into.SetMapIndex(reflect.ValueOf(name), element)
	})
}

func (d *decoder) pairs(node *yaml.Node, key string, each func(string, *yaml.Node, *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		d.problems.add(key, node.Line, "want a section of `key: value` lines, found %s", nodeName(node))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := node.Content[i]
		if name.Kind != yaml.ScalarNode {
			d.problems.add(key, name.Line, "a key must be a string")
			continue
		}
		if seen[name.Value] {
			d.problems.add(join(key, name.Value), name.Line, "given twice: keep one")
			continue
		}
		seen[name.Value] = true
		each(name.Value, name, node.Content[i+1])
	}
}

func (d *decoder) scalar(node *yaml.Node, into reflect.Value, key string) {
	if err := setScalar(node, into); err != nil {
		d.problems.add(key, node.Line, "%s", err)
		return
	}
	if err := plainValue(node, into); err != nil {
		d.problems.add(key, node.Line, newer+"%s", err)
	}
}

// plainValue refuses misleading values that release 0.3.0 accepted.
func plainValue(node *yaml.Node, into reflect.Value) error {
	switch {
	case into.Kind() == reflect.String:
		return plainText(node.Value)
	case into.Kind() == reflect.Bool || into.Type() == durationType:
		return nil
	}
	if digits := strings.TrimLeft(node.Value, "+-"); looksOctal(digits) {
		return fmt.Errorf("%q is read as %s by some and as octal by others: write %s, or 0o%s for octal",
			clip(node.Value), clip(decimal(digits)), clip(decimal(digits)), clip(decimal(digits)))
	}
	return nil
}

func setScalar(node *yaml.Node, into reflect.Value) error {
	text := node.Value
	wrong := fmt.Errorf("%q is not %s", clip(text), kindName(into.Type()))
	switch {
	case into.Type() == durationType:
		d, err := time.ParseDuration(text)
		if err != nil {
			return wrong
		}
		into.SetInt(int64(d))
	case into.Kind() == reflect.String:
		into.SetString(text)
	case into.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return wrong
		}
		into.SetBool(text == "true")
	case into.Kind() == reflect.Int, into.Kind() == reflect.Int64:
		bits := 32 // the size of an int on every platform
		if into.Kind() == reflect.Int64 {
			bits = 64
		}
		n, err := strconv.ParseInt(text, 0, bits)
		if err != nil {
			return wrong
		}
		into.SetInt(n)
	case into.Kind() == reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return wrong
		}
		into.SetFloat(f)
	}
	return nil
}

// looksOctal reports whether a number begins with a 0 that YAML 1.1 and C read as
// octal.
func looksOctal(digits string) bool {
	return len(digits) > 1 && digits[0] == '0' && strings.Trim(digits, "0123456789_") == ""
}

// decimal is a number without the zeros at its beginning.
func decimal(digits string) string { return cmp.Or(strings.TrimLeft(digits, "0_"), "0") }

// plainText refuses text that no path, URL or topic can hold.
func plainText(text string) error {
	switch {
	case len(text) > maxText:
		return fmt.Errorf("has %d bytes: at most %d are allowed", len(text), maxText)
	case !utf8.ValidString(text):
		return errors.New("is not valid UTF-8: write it as UTF-8")
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("holds a control character, such as a line break or a NUL: remove it")
	}
	return nil
}

func kindName(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration such as 500ms, 5s or 2m"
	case t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return "a whole number"
	case t.Kind() == reflect.Float64:
		return "a number"
	default:
		return "a section"
	}
}

func nodeName(node *yaml.Node) string {
	switch node.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	case yaml.ScalarNode:
		return strconv.Quote(clip(node.Value))
	default:
		return "something else"
	}
}

func join(key, name string) string {
	if key == "" {
		return clip(name)
	}
	return key + "." + clip(name)
}

// clip bounds a text of a hostile document in the log.
func clip(text string) string {
	const most = 64
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// ValidName reports whether a name may be part of a topic and of a key: 1–64 letters,
// digits, - or _.
func ValidName(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}) < 0
}

// suggest names the known key closest to a misspelt one, or else lists all known keys.
func suggest(name string, fields map[string]reflect.Value) string {
	known := slices.Sorted(maps.Keys(fields))
	for _, one := range known {
		if len(name) < 100 && distance(name, one) <= 2 {
			return "did you mean " + one + "?"
		}
	}
	return "known here are " + strings.Join(known, ", ")
}

// distance is Levenshtein's: how many letters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

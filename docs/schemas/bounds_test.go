package schemas

import (
	"errors"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/invopop/jsonschema"
	"go.yaml.in/yaml/v3"

	"meltwatch/config"
)

// bases are configurations that differ in what their checks look at.
func bases(t *testing.T) []map[string]any {
	t.Helper()
	good, err := os.ReadFile("config/testdata/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for _, change := range []func(string) string{
		func(text string) string { return text },
		func(text string) string { return strings.Replace(text, "tcp://127.0.0.1:502", "rtu:///dev/ttyUSB0", 1) },
		func(text string) string { return strings.Replace(text, "    fields:", "    base: 1\n    fields:", 1) },
		func(text string) string { return text + "outbox: {total_mb: 1000000}\n" },
	} {
		var document map[string]any
		if err := yaml.Unmarshal([]byte(change(string(good))), &document); err != nil {
			t.Fatal(err)
		}
		all = append(all, document)
	}
	return all
}

// faultOf sets a key of a document and returns what the configuration says of it.
func faultOf(t *testing.T, document map[string]any, path []string, value any) string {
	t.Helper()
	text, err := yaml.Marshal(with(document, path, value))
	if err != nil {
		t.Fatal(err)
	}
	_, err = config.Parse(text)
	var problems config.Problems
	errors.As(err, &problems)
	for _, p := range problems {
		if p.Key == strings.Join(path, ".") {
			return p.Message
		}
	}
	return ""
}

// with returns a copy of the document with another value.
func with(document map[string]any, path []string, value any) map[string]any {
	copied := map[string]any{}
	for k, v := range document {
		copied[k] = v
	}
	if len(path) == 1 {
		copied[path[0]] = value
		return copied
	}
	inner, _ := document[path[0]].(map[string]any)
	copied[path[0]] = with(inner, path[1:], value)
	return copied
}

// requiredKeys are the keys without which the least configuration is refused.
func requiredKeys(t *testing.T) (keys []string) {
	t.Helper()
	for _, key := range []string{"site", "furnace", "meters", "camera", "model", "state", "mqtt", "outbox", "remote", "trust", "commands", "metrics", "log", "paths"} {
		document := with(bases(t)[0], []string{key}, nil)
		delete(document, key)
		if key == "camera" { // it may be disabled
			continue
		}
		text, err := yaml.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := config.Parse(text); err != nil {
			keys = append(keys, key)
		}
	}
	return keys
}

var (
	outOfBounds = regexp.MustCompile(`out of bounds: want (\S+) to (\S+)$`)
	notOneOf    = regexp.MustCompile(`is not one of (.+)$`)
)

// addBounds takes bounds and choices from what the configuration's own checks say of a
// value that none of them accepts, so they stand in one place alone. Where configurations
// differ, the widest bounds hold.
func addBounds(t *testing.T, s *jsonschema.Schema) {
	t.Helper()
	found := 0
	eachLeaf(s, reflect.TypeFor[config.Config](), nil, func(path []string, leaf *jsonschema.Schema, of reflect.Type) {
		for _, base := range bases(t) {
			switch {
			case of == reflect.TypeFor[time.Duration]():
				continue // a pattern cannot bound it
			case of.Kind() == reflect.String:
				fault := faultOf(t, base, path, "never")
				m := notOneOf.FindStringSubmatch(fault)
				switch {
				case m == nil:
				case strings.HasPrefix(fault, "scheme"):
					leaf.Pattern = "^(" + strings.ReplaceAll(m[1], ", ", "|") + "):"
					found++
				default:
					leaf.Enum = anys(strings.Split(m[1], ", "))
					found++
				}
			case of.Kind() == reflect.Int, of.Kind() == reflect.Float64:
				for _, extreme := range []any{-2_000_000_000, 2_000_000_000} {
					if m := outOfBounds.FindStringSubmatch(faultOf(t, base, path, extreme)); m != nil {
						widen(t, leaf, m[1], m[2])
						found++
					} else if m := notOneOf.FindStringSubmatch(faultOf(t, base, path, extreme)); m != nil {
						leaf.Enum = numbers(t, m[1])
						found++
					}
				}
				if leaf.Minimum != "" && faultOf(t, base, path, 0) == "" { // 0 often means a default
					widen(t, leaf, "0", "0")
				}
			}
		}
	})
	if found < 60 {
		t.Errorf("only %d bounds and choices found", found)
	}
}

func numbers(t *testing.T, list string) (all []any) {
	t.Helper()
	for _, word := range strings.Fields(strings.ReplaceAll(list, ",", " ")) {
		n, err := strconv.Atoi(word)
		if err != nil {
			t.Fatalf("%s: %v", list, err)
		}
		all = append(all, n)
	}
	return all
}

func widen(t *testing.T, leaf *jsonschema.Schema, least, greatest string) {
	t.Helper()
	parse := func(text string) float64 {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatalf("bound %q: %v", text, err)
		}
		return v
	}
	low, high := parse(least), parse(greatest)
	if leaf.Minimum != "" {
		low, high = min(low, parse(string(leaf.Minimum))), max(high, parse(string(leaf.Maximum)))
	}
	bound(leaf, low, high)
	if high == 0 {
		leaf.Maximum = "0"
	}
}

// eachLeaf visits every plain setting; main and current_a stand for the names in a map.
func eachLeaf(s *jsonschema.Schema, of reflect.Type, path []string, visit func(path []string, leaf *jsonschema.Schema, of reflect.Type)) {
	switch {
	case of.Kind() == reflect.Struct:
		for i := range of.NumField() {
			name := of.Field(i).Tag.Get("yaml")
			eachLeaf(find(s, name), of.Field(i).Type, append(path[:len(path):len(path)], name), visit)
		}
	case of.Kind() == reflect.Map && of.Elem().Kind() == reflect.Struct:
		name := "main"
		if path[len(path)-1] == "fields" {
			name = config.FieldCurrentA
		}
		if path[len(path)-1] != "brokers" {
			eachLeaf(s.AdditionalProperties, of.Elem(), append(path[:len(path):len(path)], name), visit)
		}
	case of.Kind() == reflect.Map || of.Kind() == reflect.Slice:
	default:
		visit(path, s, of)
	}
}

// Package schemas holds the JSON Schemas (draft 2020-12) of the configuration and of
// every payload. The files are generated from the structs, their comments and the bounds
// that the configuration's own checks state: `make schemas` renews them, and a test keeps
// them equal.
package schemas

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed *.json
var files embed.FS

// Names returns the names of the schemas, sorted: config, and a topic's name with - in
// place of /.
func Names() (names []string) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil // cannot happen: the folder is embedded
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".json"))
	}
	slices.Sort(names)
	return names
}

// Of returns a schema by its name.
func Of(name string) ([]byte, error) {
	text, err := files.ReadFile(name + ".json")
	if err != nil {
		return nil, fmt.Errorf("schema %q is unknown: name one of %s", name, strings.Join(Names(), ", "))
	}
	return text, nil
}

// OfTopic returns the name of the schema of a topic below an agent's root; it is empty
// for a topic whose payload is not JSON, and for one that is unknown.
func OfTopic(topic string) string {
	name := strings.ReplaceAll(strings.TrimPrefix(topic, "history/"), "/", "-")
	if _, err := Of(name); err != nil || name == "config" {
		return ""
	}
	return name
}

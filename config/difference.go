package config

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Difference is one setting that two configurations have differently.
type Difference struct {
	Key string `json:"key"`
	// Before and After are the values as YAML; empty where the setting is missing.
	Before string `json:"before"`
	After  string `json:"after"`
}

// Differences lists the settings in which two configurations differ, defaults included, by
// key.
func Differences(before, after Config) ([]Difference, error) {
	a, err := settingsOf(before)
	if err != nil {
		return nil, err
	}
	b, err := settingsOf(after)
	if err != nil {
		return nil, err
	}
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	differences := []Difference{}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if a[key] != b[key] {
			differences = append(differences, Difference{key, a[key], b[key]})
		}
	}
	return differences, nil
}

// settingsOf are the values of a configuration by key.
func settingsOf(c Config) (map[string]string, error) {
	var root yaml.Node
	if err := root.Encode(c.Shown()); err != nil {
		return nil, err
	}
	values := map[string]string{}
	collect(&root, "", values)
	return values, nil
}

func collect(node *yaml.Node, key string, values map[string]string) {
	switch {
	case node.Kind == yaml.MappingNode && len(node.Content) > 0:
		for i := 0; i+1 < len(node.Content); i += 2 {
			collect(node.Content[i+1], join(key, node.Content[i].Value), values)
		}
	case node.Kind == yaml.MappingNode:
		values[key] = "{}"
	case node.Kind == yaml.SequenceNode:
		var all []string
		for _, one := range node.Content {
			all = append(all, one.Value)
		}
		values[key] = "[" + strings.Join(all, ", ") + "]"
	case node.Value == "" && node.ShortTag() == "!!str":
		values[key] = `""`
	default:
		values[key] = node.Value
	}
}

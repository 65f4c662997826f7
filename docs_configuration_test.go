package meltwatch

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// keysOf returns the dotted keys of the settings in a mapping; members of the maps by name
// are called <name>.
func keysOf(node *yaml.Node, prefix string) (keys []string) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i].Value, node.Content[i+1]
		key := prefix + name
		switch {
		case key == "meters.main":
			key = "meters.<name>"
		case strings.HasPrefix(key, "meters.<name>.fields."):
			keys = append(keys, key)
			continue // all have the members of the first one
		}
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 && key != "camera.crop" && key != "meters.<name>.serial" {
			keys = append(keys, keysOf(value, key+".")...)
			continue
		}
		keys = append(keys, key)
	}
	return keys
}

// The table of docs/configuration.md has each setting of the sample.
func TestConfigurationPageHasEachSetting(t *testing.T) {
	sample, err := os.ReadFile("config/sample.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(sample, &document); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	inTable := map[string]bool{}
	code := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		section := ""
		for _, found := range code.FindAllStringSubmatch(cells[1], -1) {
			key := found[1]
			if end := strings.LastIndexByte(key, '.'); end >= 0 {
				section = key[:end+1]
				inTable[strings.TrimSuffix(section, ".<name>.")] = true // a map by name, empty in the sample
				inTable[strings.TrimSuffix(key, ".<name>")] = true
			} else {
				key = section + key
			}
			inTable[key] = true
		}
		if strings.Contains(cells[1], "fields.<quantity>") {
			for _, found := range code.FindAllStringSubmatch(cells[2], -1) {
				inTable["meters.<name>.fields."+found[1]] = true
			}
		}
	}
	keys := keysOf(document.Content[0], "")
	if len(keys) < 80 {
		t.Errorf("only %d settings found", len(keys))
	}
	for _, key := range keys {
		section, _, _ := strings.Cut(key, ".")
		if !inTable[key] && !inTable[section+".*"] {
			t.Errorf("docs/configuration.md lacks %s", key)
		}
	}
}

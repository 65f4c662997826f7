package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"meltwatch/config/strict"
)

// A remote document is a JSON merge patch (RFC 7396) over the box's own file: an
// object's members replace those of the file, and null removes one, so that its default
// applies again. The result is checked by the same rules as the file.

// maxDepth bounds the nesting of a patch; the deepest setting is at level 5.
const maxDepth = 16

// localOnly are the settings that no remote document may change: the box's identity,
// the keys it trusts, the commands it accepts, and its paths. restartOnly are those
// that a running agent cannot change either.
var (
	localOnly = []string{
		"site", "furnace", "trust", "remote", "commands", "metrics", "web", "paths", "model.path", "log.format",
		"camera.ca_file", "mqtt.client_id", "mqtt.ca_file", "mqtt.cert_file", "mqtt.key_file",
	}
	restartOnly = []string{"site", "furnace", "paths", "model.path", "log.format"}
)

// Merged applies a patch to the local file's document and checks the result as
// Parse does. An empty patch leaves the local document unchanged. On a fault the error
// is a Problems.
func Merged(local, patch []byte) (Config, error) {
	c, faults := merged(local, patch)
	if err := faults.err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

func merged(local, patch []byte) (Config, problemList) {
	root, err := parseYAML(local)
	if err != nil {
		return Config{}, documentProblem(err)
	}
	if len(bytes.TrimSpace(patch)) == 0 {
		return decode(root)
	}
	if len(patch) > maxSize {
		return Config{}, documentProblem(fmt.Errorf("the document is over %d KiB: it cannot be a configuration", maxSize>>10))
	}
	change, err := parseJSON(patch)
	if err != nil {
		return Config{}, documentProblem(err)
	}
	var faults problemList
	refuseLocalOnly(change, "", &faults)
	c, found := decode(merge(root, change))
	faults.merge(found)
	return c, faults
}

// parseJSON reads one JSON object as the equivalent YAML node. Its lines are 0, because
// a payload has no lines to refer to.
func parseJSON(text []byte) (*yaml.Node, error) {
	if err := strict.Check(text); err != nil {
		return nil, err
	}
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	node, err := nextNode(in, "", 0)
	if err != nil {
		return nil, err
	}
	if node.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("want a JSON object of settings, found %s", nodeName(node))
	}
	return node, nil
}

func nextNode(in *json.Decoder, key string, depth int) (*yaml.Node, error) {
	token, err := in.Token()
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	switch value := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			return nil, fmt.Errorf("%s: nested deeper than %d: no setting is there", key, maxDepth)
		}
		if value == '[' {
			return sequence(in, key, depth)
		}
		return mapping(in, key, depth)
	case string:
		return scalarNode("!!str", value), nil
	case json.Number:
		return scalarNode("!!float", value.String()), nil
	case bool:
		return scalarNode("!!bool", fmt.Sprint(value)), nil
	default:
		return scalarNode("!!null", ""), nil
	}
}

func scalarNode(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

func sequence(in *json.Decoder, key string, depth int) (*yaml.Node, error) {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for in.More() {
		one, err := nextNode(in, key, depth+1)
		if err != nil {
			return nil, err
		}
		list.Content = append(list.Content, one)
	}
	return list, closing(in)
}

func mapping(in *json.Decoder, key string, depth int) (*yaml.Node, error) {
	object := &yaml.Node{Kind: yaml.MappingNode}
	for in.More() {
		token, err := in.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		name, _ := token.(string) // the decoder accepts only a string here
		under := join(key, name)
		value, err := nextNode(in, under, depth+1)
		if err != nil {
			return nil, err
		}
		object.Content = append(object.Content, scalarNode("!!str", name), value)
	}
	return object, closing(in)
}

func closing(in *json.Decoder) error {
	if _, err := in.Token(); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	return nil
}

// merge is RFC 7396's MergePatch. It leaves both arguments as they are.
func merge(target, patch *yaml.Node) *yaml.Node {
	if patch.Kind != yaml.MappingNode {
		return patch
	}
	merged := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	var before []*yaml.Node
	if target != nil && target.Kind == yaml.MappingNode {
		merged.Line, merged.Anchor, before = target.Line, target.Anchor, target.Content
	}
	changes := map[string]*yaml.Node{} // to members of the target
	for i := 0; i+1 < len(before); i += 2 {
		changes[before[i].Value] = nil
	}
	var added []*yaml.Node
	for i := 0; i+1 < len(patch.Content); i += 2 {
		name, value := patch.Content[i], patch.Content[i+1]
		if _, known := changes[name.Value]; known {
			changes[name.Value] = value
		} else if value.Tag != "!!null" {
			added = append(added, name, merge(nil, value))
		}
	}
	for i := 0; i+1 < len(before); i += 2 {
		name, value := before[i], before[i+1]
		switch change := changes[name.Value]; {
		case change == nil:
			merged.Content = append(merged.Content, name, value)
		case change.Tag != "!!null":
			merged.Content = append(merged.Content, name, merge(value, change))
		}
	}
	merged.Content = append(merged.Content, added...)
	return merged
}

// refuseLocalOnly finds what a patch must not hold: local settings, and paths of
// secrets. A remote document may only name a credential: a path would let it send any
// file of the box to a camera of its choice.
func refuseLocalOnly(patch *yaml.Node, key string, problems *problemList) {
	if patch.Kind != yaml.MappingNode {
		if strings.HasSuffix(key, "_file") && strings.Contains(patch.Value, "/") {
			problems.add(key, 0, "a path may not be set remotely: give the name of a systemd credential, or set it in the box's own file")
		}
		return
	}
	for i := 0; i+1 < len(patch.Content); i += 2 {
		path := join(key, patch.Content[i].Value)
		if slices.Contains(localOnly, path) {
			problems.add(path, 0, "can be set only in the box's own file: remove it from the document")
			continue
		}
		refuseLocalOnly(patch.Content[i+1], path, problems)
	}
}

// NeedsRestart lists the changed settings that need a restart of the agent.
func NeedsRestart(running, wanted Config) Problems {
	var problems problemList
	a, b := values(running), values(wanted)
	for _, key := range restartOnly {
		if a[key] != b[key] {
			problems.add(key, 0, "cannot change while the agent runs: restart it (systemctl restart meltwatch)")
		}
	}
	return problems.reported
}

func values(c Config) map[string]any {
	return map[string]any{
		"site": c.Site, "furnace": c.Furnace, "paths": c.Paths, "model.path": c.Model.Path, "log.format": c.Log.Format,
	}
}

// Digest names an effective configuration: the sha256 of all its settings,
// defaults included, in hexadecimal.
func Digest(c Config) string {
	text, err := yaml.Marshal(c)
	if err != nil {
		return "" // impossible: the settings are numbers, strings and maps of them
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

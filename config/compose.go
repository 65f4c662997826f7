package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Composed returns one patch that has the effect, over the local file, of a patch and of a
// further change over their result. On a fault the error is a Problems.
func Composed(local, patch, change []byte) (json.RawMessage, error) {
	root, err := parseYAML(local)
	if err != nil {
		return nil, documentError(err)
	}
	before, err := patchNode(patch)
	if err != nil {
		return nil, documentError(err)
	}
	after, err := patchNode(change)
	if err != nil {
		return nil, documentError(err)
	}
	return encodeNode(compose(root, before, after))
}

func documentError(err error) error {
	problems := documentProblem(err)
	return problems.err()
}

// patchNode reads a patch; without one it is {}.
func patchNode(text []byte) (*yaml.Node, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return &yaml.Node{Kind: yaml.MappingNode}, nil
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("the document is over %d KiB: it cannot be a configuration", maxSize>>10)
	}
	return parseJSON(text)
}

// compose returns a patch q with merge(local, q) = merge(merge(local, patch), change).
func compose(local, patch, change *yaml.Node) *yaml.Node {
	switch {
	case change.Kind != yaml.MappingNode || patch == nil:
		return change
	case patch.Kind != yaml.MappingNode: // it removed the section that the change sets again
		return replacing(local, change)
	}
	changes, locals := members(change), members(local)
	composed := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(patch.Content); i += 2 {
		name, value := patch.Content[i], patch.Content[i+1]
		if one, ok := changes[name.Value]; ok {
			value = compose(locals[name.Value], value, one)
		}
		composed.Content = append(composed.Content, name, value)
	}
	patched := members(patch)
	for i := 0; i+1 < len(change.Content); i += 2 {
		if name := change.Content[i]; patched[name.Value] == nil {
			composed.Content = append(composed.Content, name, change.Content[i+1])
		}
	}
	return composed
}

// replacing returns a patch that leaves nothing of a local section but the change.
func replacing(local, change *yaml.Node) *yaml.Node {
	if change.Kind != yaml.MappingNode {
		return change
	}
	changes, locals := members(change), members(local)
	whole := &yaml.Node{Kind: yaml.MappingNode}
	if local != nil && local.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(local.Content); i += 2 {
			if name := local.Content[i].Value; changes[name] == nil {
				whole.Content = append(whole.Content, scalarNode("!!str", name), scalarNode("!!null", ""))
			}
		}
	}
	for i := 0; i+1 < len(change.Content); i += 2 {
		name := change.Content[i]
		whole.Content = append(whole.Content, name, replacing(locals[name.Value], change.Content[i+1]))
	}
	return whole
}

// members are the values of a mapping by name; another node has none.
func members(node *yaml.Node) map[string]*yaml.Node {
	all := map[string]*yaml.Node{}
	if node == nil || node.Kind != yaml.MappingNode {
		return all
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		all[node.Content[i].Value] = node.Content[i+1]
	}
	return all
}

// Fragment turns a part of a configuration, as a person writes it in YAML or JSON, into a
// merge patch. Values that JSON cannot hold become texts, which the checks of the
// configuration then refuse by their keys. On a fault the error is a Problems.
func Fragment(text []byte) (json.RawMessage, error) {
	if json.Valid(text) {
		node, err := patchNode(text)
		if err != nil {
			return nil, documentError(err)
		}
		return encodeNode(node)
	}
	node, err := parseYAML(text)
	switch {
	case err != nil:
		return nil, documentError(err)
	case node == nil || node.Kind != yaml.MappingNode:
		return nil, documentError(errors.New("want settings such as `camera: {timeout: 5s}`"))
	}
	return encodeNode(node)
}

// encodeNode writes a tree as JSON. Duplicate members stay, so that they are refused.
func encodeNode(node *yaml.Node) (json.RawMessage, error) {
	var out bytes.Buffer
	if err := writeNode(&out, node, "", 0); err != nil {
		return nil, documentError(err)
	}
	return out.Bytes(), nil
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

func writeNode(out *bytes.Buffer, node *yaml.Node, key string, depth int) error {
	if node.Kind == yaml.AliasNode || node.Anchor != "" {
		return fmt.Errorf("%s: anchors and aliases are not supported: write the value out", key)
	}
	if depth > maxDepth {
		return fmt.Errorf("%s: nested deeper than %d: no setting is there", key, maxDepth)
	}
	switch node.Kind {
	case yaml.MappingNode:
		return writeMapping(out, node, key, depth)
	case yaml.SequenceNode:
		return writeSequence(out, node, key, depth)
	default:
		return writeScalar(out, node)
	}
}

func writeMapping(out *bytes.Buffer, node *yaml.Node, key string, depth int) error {
	out.WriteByte('{')
	for i := 0; i+1 < len(node.Content); i += 2 {
		if i > 0 {
			out.WriteByte(',')
		}
		name := node.Content[i].Value
		if err := writeText(out, name); err != nil {
			return err
		}
		out.WriteByte(':')
		if err := writeNode(out, node.Content[i+1], join(key, name), depth+1); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

func writeSequence(out *bytes.Buffer, node *yaml.Node, key string, depth int) error {
	out.WriteByte('[')
	for i, one := range node.Content {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := writeNode(out, one, key, depth+1); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	return nil
}

func writeScalar(out *bytes.Buffer, node *yaml.Node) error {
	switch node.ShortTag() {
	case "!!null":
		out.WriteString("null")
		return nil
	case "!!bool":
		yes, err := strconv.ParseBool(node.Value)
		if err == nil {
			out.WriteString(strconv.FormatBool(yes))
			return nil
		}
	case "!!int", "!!float":
		if jsonNumber.MatchString(node.Value) {
			out.WriteString(node.Value)
			return nil
		}
	}
	return writeText(out, node.Value)
}

// writeText writes a string as it is: a patch must stay as it was signed.
func writeText(out *bytes.Buffer, text string) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // the line's end
	return nil
}

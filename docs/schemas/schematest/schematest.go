// Package schematest validates documents against the JSON Schemas, for tests.
package schematest

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"meltwatch/docs/schemas"
)

// compiled are the schemas by name; formats are asserted.
var compiled = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	all := map[string]*jsonschema.Schema{}
	for _, name := range schemas.Names() {
		text, err := schemas.Of(name)
		if err != nil {
			return nil, err
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		c := jsonschema.NewCompiler()
		c.DefaultDraft(jsonschema.Draft2020)
		c.AssertFormat()
		if err := c.AddResource(name, document); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if all[name], err = c.Compile(name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return all, nil
})

// Validate validates a decoded document against a schema by its name.
func Validate(name string, document any) error {
	all, err := compiled()
	if err != nil {
		return err
	}
	if all[name] == nil {
		return fmt.Errorf("schema %q is unknown", name)
	}
	return all[name].Validate(document)
}

// Payload validates what arrived on a topic below an agent's root. A topic without a
// schema is not validated.
func Payload(topic string, payload []byte) error {
	name := schemas.OfTopic(topic)
	if name == "" || len(payload) == 0 { // an empty payload clears a topic
		return nil
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	if err != nil {
		return fmt.Errorf("%s: %w", topic, err)
	}
	if err := Validate(name, document); err != nil {
		return fmt.Errorf("%s: %w", topic, err)
	}
	return nil
}

package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"meltwatch/docs/schemas"
)

func TestSchemaIsPrinted(t *testing.T) {
	for _, name := range schemas.Names() {
		var out bytes.Buffer
		if err := (schemaCommand{name}).Run(outside{out: &out}); err != nil {
			t.Fatal(err)
		}
		var schema struct {
			Schema string `json:"$schema"`
			Title  string `json:"title"`
		}
		if err := json.Unmarshal(out.Bytes(), &schema); err != nil || schema.Title != "Meltwatch "+name || schema.Schema != "https://json-schema.org/draft/2020-12/schema" {
			t.Errorf("%s: %+v, %v", name, schema, err)
		}
	}
	if err := (schemaCommand{"nope"}).Run(outside{}); err == nil {
		t.Error("a schema without a name")
	}
}

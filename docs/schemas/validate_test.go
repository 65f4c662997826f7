package schemas_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"meltwatch/agent/message"
	"meltwatch/docs/schemas"
	"meltwatch/docs/schemas/schematest"
)

// decoded is a YAML document as JSON has it.
func decoded(t *testing.T, text []byte) (any, error) {
	t.Helper()
	var document any
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
}

func TestGoodConfigurationsValidate(t *testing.T) {
	for _, path := range []string{"../../config/sample.yaml", "../../config/testdata/good.yaml"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		document, err := decoded(t, text)
		if err != nil {
			t.Fatal(err)
		}
		if err := schematest.Validate("config", document); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// byMeaning are the bad documents whose form is right: what is wrong depends on several
// settings, on the time, on an encoding, or on the text of a URL, path or key.
var byMeaning = []string{
	"address-below-base", "broker-password", "broker-user-missing", "brokers-beside-broker", "brokers-password", "brokers-without-tls",
	"ca-without-tls", "camera-crop-half", "camera-password-in-url", "camera-url-missing", "cert-without-key", "cert-without-tls",
	"field-bit-inside-a-number", "field-function", "field-in-two-meters", "field-missing-mark", "field-past-the-end", "field-past-the-end-base-1",
	"field-scale-zero", "fields-on-one-address", "fields-one-bit", "fields-overlap", "fields-overlap-across-meters",
	"meter-current-max-below-normal", "meter-gap-over-period", "meter-port-large", "meter-port-zero", "meter-read-max-under-type",
	"meter-rtu-no-device", "meter-rtu-out-of-dev", "meter-rtu-without-device", "meter-timeout-over-period", "meter-url-missing", "meter-url-without-port",
	"model-path-empty", "model-timeout", "no-normal-current", "outbox-age-short", "outbox-class-over-total", "phase-missing", "phases-in-two-meters",
	"remote-deadline", "remote-signed-without-key", "serial-data-bits", "serial-unit-broadcast", "state-exit-above-enter", "state-folder-empty", "state-suspect-exit-above-enter", "trust-key",
	"brokers-url-missing", "anchor", "two-documents", "bit-as-number",
}

// Every other bad document is bad by its form, and refused.
func TestBadConfigurationsDoNotValidate(t *testing.T) {
	files, err := filepath.Glob("../../config/testdata/bad/*.yaml")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	refused := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		document, err := decoded(t, text)
		if err == nil {
			err = schematest.Validate("config", document)
		}
		if err != nil {
			refused++
		}
		if meaning := slices.Contains(byMeaning, name); (err != nil) == meaning {
			t.Errorf("%s: bad by its meaning %v, validation says %v", name, meaning, err)
		}
	}
	t.Logf("%d of %d refused by their form", refused, len(files))
}

// Every block of YAML in the documents that is a part of a configuration has its form.
func TestConfigurationsInDocumentsValidate(t *testing.T) {
	text, err := schemas.Of("config")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]any `json:"properties"`
		Required   []string       `json:"required"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile("../../config/testdata/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("../*.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, page := range append(pages, "../../README.md") {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range strings.Split(string(content), "```yaml\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			document, err := decoded(t, []byte(block))
			part, isSection := document.(map[string]any)
			if err != nil || !isSection || len(part) == 0 {
				continue
			}
			whole, err := decoded(t, good)
			if err != nil {
				t.Fatal(err)
			}
			ours := true
			for key, value := range part {
				_, known := schema.Properties[key]
				ours = ours && known
				whole.(map[string]any)[key] = value
			}
			if !ours {
				continue
			}
			checked++
			if err := schematest.Validate("config", whole); err != nil {
				t.Errorf("%s, block %d: %v", page, i+1, err)
			}
		}
	}
	if checked < 2 {
		t.Errorf("only %d blocks found", checked)
	}
}

// What the agent's own parsers accept and refuse, the schema does too.
func TestDocumentsToTheAgent(t *testing.T) {
	instant := time.Now().UTC().Format(time.RFC3339)
	for _, c := range []struct {
		topic, payload string
		valid          bool
	}{
		{message.TopicCommand, `{"id": "1", "command": "snapshot", "deadline": "` + instant + `"}`, true},
		{message.TopicCommand, `{"id": "1", "command": "restart", "part": "camera", "deadline": "` + instant + `"}`, true},
		{message.TopicCommand, `{"id": "1", "command": "snapshot", "deadline": "tomorrow"}`, false},
		{message.TopicCommand, `{"id": "", "command": "snapshot", "deadline": "` + instant + `"}`, false},
		{message.TopicCommand, `{"id": "1", "command": "shell", "deadline": "` + instant + `"}`, false},
		{message.TopicCommand, `{"id": "1", "command": "snapshot", "deadline": "` + instant + `", "path": "/"}`, false},
		{message.TopicConfigDesired, `{"revision": 1, "config": {}}`, true},
		{message.TopicConfigDesired, `{"revision": 1, "config": {"state": {"mean_seconds": 3}}, "deadline_s": 10, "previous": {}, "key": "desk", "signature": "eA=="}`, true},
		{message.TopicConfigDesired, `{"revision": 0, "config": {}}`, false},
		{message.TopicConfigDesired, `{"revision": 1}`, false},
		{message.TopicConfigDesired, `{"revision": 1, "config": []}`, false},
		{message.TopicConfigDesired, `{"revision": 1, "config": {}, "deadline_s": 601}`, false},
		{message.TopicModelDesired, `{"revision": 1, "sha256": "00", "size": 5, "key": "desk", "signature": "eA=="}`, true},
		{message.TopicModelDesired, `{"revision": 1, "sha256": "00", "size": 5, "key": "desk", "signature": "eA==", "min_agreement": 2}`, false},
		{"history/event", `{"v": 1}`, false},
	} {
		if err := schematest.Payload(c.topic, []byte(c.payload)); (err == nil) != c.valid {
			t.Errorf("%s %s: %v", c.topic, c.payload, err)
		}
	}
}

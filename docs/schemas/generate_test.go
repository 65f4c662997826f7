package schemas

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/invopop/jsonschema"

	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/agent/state"
	"meltwatch/config"
	"meltwatch/drivers"
)

var update = flag.Bool("update", false, "write the schemas anew")

const durations = `^[+-]?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*)$`

// The committed files are what the code gives.
func TestFilesAreGenerated(t *testing.T) {
	t.Chdir("../..") // the comments are read from the sources
	all := generate(t)
	var names []string
	for name, schema := range all {
		names = append(names, name)
		text, err := json.MarshalIndent(schema, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		path := "docs/schemas/" + name + ".json"
		if *update {
			if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(bytes.TrimSpace(have), text) {
			t.Errorf("%s is not what the code gives (%v): run make schemas", path, err)
		}
	}
	slices.Sort(names)
	if have := Names(); !*update && !slices.Equal(have, names) {
		t.Errorf("files of %v, want %v", have, names)
	}
}

func generate(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	all := map[string]*jsonschema.Schema{"config": ofConfig(t)}
	for _, p := range []struct {
		topic string
		value any
		// strict documents are refused with unknown fields; records may gain some.
		strict bool
	}{
		{message.TopicState, message.State{}, false},
		{message.TopicCurrent, message.Current{}, false},
		{message.TopicEvent, message.Event{}, false},
		{message.TopicAlarm, message.Alarm{}, false},
		{message.TopicSuspicion, message.Alarm{}, false},
		{message.TopicHealth, message.Health{}, false},
		{message.TopicConfigReported, message.ConfigReport{}, false},
		{message.TopicModelReported, message.ModelReport{}, false},
		{message.TopicCommandResult, message.CommandResult{}, false},
		{message.TopicConfigDesired, message.ConfigDesired{}, true},
		{message.TopicModelDesired, message.ModelDesired{}, true},
		{message.TopicCommand, message.Command{}, true},
	} {
		r := reflector(t, "json")
		r.AllowAdditionalProperties = !p.strict
		name := dashed(p.topic)
		s := r.Reflect(p.value)
		s.Required = slices.DeleteFunc(s.Required, func(key string) bool { return omitted(reflect.TypeOf(p.value), key) })
		finishPayload(r, name, s)
		all[name] = titled(s, name, "Payload of the topic "+p.topic+". "+s.Description)
	}
	return all
}

// omitted reports whether a payload leaves a key out while its value is zero, which the
// library does not know.
func omitted(of reflect.Type, key string) bool {
	for _, field := range reflect.VisibleFields(of) {
		tag := strings.Split(field.Tag.Get("json"), ",")
		if tag[0] == key {
			return slices.Contains(tag[1:], "omitzero")
		}
	}
	return false
}

func dashed(topic string) string {
	return string(bytes.ReplaceAll([]byte(topic), []byte("/"), []byte("-")))
}

func titled(s *jsonschema.Schema, name, description string) *jsonschema.Schema {
	s.ID = jsonschema.ID("urn:meltwatch:schema:" + name)
	s.Title, s.Description = "Meltwatch "+name, description
	return s
}

func reflector(t *testing.T, tag string) *jsonschema.Reflector {
	t.Helper()
	r := &jsonschema.Reflector{FieldNameTag: tag, ExpandedStruct: true, DoNotReference: true}
	r.Mapper = func(of reflect.Type) *jsonschema.Schema {
		switch of {
		case reflect.TypeFor[time.Duration]():
			return &jsonschema.Schema{Type: "string", Pattern: durations, Examples: []any{"500ms", "5s", "2m"}}
		case reflect.TypeFor[json.RawMessage]():
			return &jsonschema.Schema{Type: "object"}
		}
		return nil
	}
	for _, folder := range []string{"./config", "./agent/message", "./agent/health"} {
		if err := r.AddGoComments("meltwatch", folder); err != nil {
			t.Fatal(err)
		}
	}
	for name, comment := range r.CommentMap {
		r.CommentMap[name] = strings.Join(strings.Fields(comment), " ")
	}
	return r
}

// finishPayload adds what the structs cannot say.
func finishPayload(r *jsonschema.Reflector, name string, s *jsonschema.Schema) {
	at := func(path ...string) *jsonschema.Schema { return find(s, path...) }
	oneOf := func(values []string, path ...string) { at(path...).Enum = anys(values) }
	status := func(senses ...drivers.Status) (all []string) {
		for _, one := range senses {
			all = append(all, string(one))
		}
		return all
	}
	clocks := []string{message.ClockSynced, message.ClockUnsynced, message.ClockRestamped}
	switch name {
	case message.TopicState:
		oneOf([]string{string(state.Off), string(state.Warming), string(state.Normal), string(state.Abnormal), string(state.Unknown)}, "state")
		oneOf([]string{string(state.LevelNone), string(state.LevelSuspected), string(state.LevelAlarm)}, "level")
		oneOf([]string{string(state.Model), string(state.Rule), string(state.None)}, "source")
		oneOf(status(drivers.OK, drivers.Stale, drivers.Frozen, drivers.Absent, drivers.Invalid), "senses", "current")
		oneOf(status(drivers.OK, drivers.Stale, drivers.Frozen, drivers.Absent, drivers.Black), "senses", "video")
		for _, path := range [][]string{{"p_abnormal"}, {"p_mean"}, {"p_suspect"}, {"coverage", "current"}, {"coverage", "video"}} {
			bound(at(path...), 0, 1)
		}
		at("alignment").Type, at("alignment").OneOf = "", []*jsonschema.Schema{{Type: "number"}, {Type: "null"}}
		evidence := *at("evidence")
		s.Properties.Set("evidence", &jsonschema.Schema{OneOf: []*jsonschema.Schema{&evidence, {Type: "null"}}, Description: evidence.Description})
		nullable(at("alone", "current"))
		nullable(at("alone", "video"))
		for _, name := range []string{"familiarity", "familiarity_mean"} {
			nullable(at(name, "current"))
			nullable(at(name, "video"))
		}
	case message.TopicAlarm, message.TopicSuspicion:
		oneOf([]string{message.AlarmRaised, message.AlarmAcknowledged, message.AlarmShelved, message.AlarmCleared}, "phase")
		for _, path := range [][]string{{"alone", "current"}, {"alone", "video"}, {"cv_120"}, {"cv_45"}, {"agree"}} {
			nullable(at(path...))
		}
		for _, name := range []string{"evidence", "change"} {
			place := *at(name)
			s.Properties.Set(name, &jsonschema.Schema{OneOf: []*jsonschema.Schema{&place, {Type: "null"}}, Description: place.Description})
		}
	case message.TopicCurrent:
		sample := r.Reflect(message.Sample{})
		sample.Version = ""
		sample.ID = ""
		find(sample, "clock").Enum = anys(clocks)
		at("samples").Items = sample
	case message.TopicHealth:
		part := r.Reflect(health.Status{})
		part.Version, part.ID = "", ""
		find(part, "status").Enum = anys([]string{"starting", "ok", "fault"})
		at("parts").AdditionalProperties = part
	case "config-reported":
		oneOf([]string{message.Applying, message.Applied, message.Rejected, message.RolledBack}, "status")
		oneOf([]string{"desired", "file", "page"}, "from")
	case "model-reported":
		oneOf([]string{message.Receiving, message.Checking, message.Shadowing, message.Watching, message.Live, message.Rejected, message.RolledBack}, "status")
	case "command-result":
		oneOf([]string{message.Done, message.Failed, message.Rejected}, "status")
	case message.TopicCommand:
		oneOf([]string{"acknowledge", "log_level", "restart", "self_test", "shelve", "snapshot"}, "command")
		at("id").MinLength, at("id").MaxLength = number(1), number(message.MaxCommandID)
	case "config-desired":
		bound(at("revision"), 1, 0)
		bound(at("deadline_s"), 0, message.MostDeadline)
	case "model-desired":
		bound(at("revision"), 1, 0)
		bound(at("min_agreement"), 0, 1)
	}
	switch name {
	case message.TopicState, message.TopicEvent, message.TopicHealth, message.TopicAlarm, message.TopicSuspicion:
		oneOf(clocks, "clock")
	}
	switch name {
	case message.TopicState, message.TopicEvent:
		s.Properties.Set("historical", &jsonschema.Schema{Type: "boolean", Description: "True on a topic below history/."})
	}
}

// nullable allows null beside a type.
func nullable(s *jsonschema.Schema) {
	s.OneOf, s.Type = []*jsonschema.Schema{{Type: s.Type}, {Type: "null"}}, ""
}

func number(n uint64) *uint64 { return &n }

func anys(values []string) (all []any) {
	for _, v := range values {
		all = append(all, v)
	}
	return all
}

// bound sets the least and the greatest value; a greatest of 0 is none.
func bound(s *jsonschema.Schema, least, greatest float64) {
	text := func(v float64) json.Number {
		encoded, _ := json.Marshal(v) //nolint:errchkjson // it is finite
		return json.Number(encoded)
	}
	s.Minimum = text(least)
	if greatest != 0 {
		s.Maximum = text(greatest)
	}
}

// find returns the schema of a property.
func find(s *jsonschema.Schema, path ...string) *jsonschema.Schema {
	for _, name := range path {
		s, _ = s.Properties.Get(name)
	}
	return s
}

// ofConfig describes a configuration file.
func ofConfig(t *testing.T) *jsonschema.Schema {
	t.Helper()
	r := reflector(t, "yaml")
	r.RequiredFromJSONSchemaTags = true // a missing key keeps its default
	s := r.Reflect(config.Config{})
	names := &jsonschema.Schema{Pattern: `^[A-Za-z0-9_-]{1,64}$`}
	meters := find(s, "meters")
	meters.PropertyNames, meters.MinProperties, meters.MaxProperties = names, number(1), number(64)
	meter := meters.AdditionalProperties
	find(meter, "fields").PropertyNames = &jsonschema.Schema{Enum: anys(config.FieldNames())}
	find(s, "mqtt", "brokers").PropertyNames = names
	find(s, "site").Pattern, find(s, "furnace").Pattern = names.Pattern, names.Pattern
	for _, keys := range []string{"config_keys", "model_keys"} {
		find(s, "trust", keys).PropertyNames = names
	}
	s.Required = requiredKeys(t)
	addBounds(t, s)
	return titled(s, "config", "Configuration of an agent (YAML). It describes the form; what depends on several settings, such as overlapping registers, only meltwatch check finds. "+
		"Write texts that look like numbers in quotes.")
}

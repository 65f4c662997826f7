package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const day = 24 * time.Hour

// maxSize bounds a configuration document in bytes.
const maxSize = 256 << 10

// Default is the configuration of an empty document. It is incomplete: site, furnace, a
// meter and a broker must be given.
func Default() Config {
	return Config{
		Camera: Camera{
			Enabled:     true,
			Transport:   "auto",
			Decode:      "auto",
			Timeout:     5 * time.Second,
			StaleAfter:  2 * time.Second,
			FrozenAfter: 2 * time.Second,
			BlackAfter:  2 * time.Second,
		},
		Model: Model{
			Path:    "/usr/share/meltwatch/models/product",
			Timeout: 700 * time.Millisecond,
		},
		MQTT: MQTT{
			KeepAlive:   10 * time.Second,
			Queue:       10_000,
			HistoryRate: 200,
			Retain:      true,
		},
		// A week of current at 2 Hz takes 430 MB, of buffered states 60 MB.
		Outbox: Outbox{
			Enabled: true,
			TotalMB: 512, EventMB: 32, StateMB: 96, CurrentMB: 480,
			EventAge: 90 * day, StateAge: 30 * day, CurrentAge: 8 * day,
		},
		Remote: Remote{
			Config: true, Deadline: time.Minute,
			Model: true, ModelMB: 64, ModelMemoryMB: 600, ModelLatency: 300 * time.Millisecond,
		},
		Commands: Commands{PerMinute: 12},
		Alarm:    Alarm{Snapshot: true},
		// Seven days at 1.5 GB a day and what is around alarms.
		Web:      Web{Listen: "127.0.0.1:8480"},
		Recorder: Recorder{Enabled: true, TotalMB: 12_000, Age: 14 * day, MinFreeMB: 1_000, ViewWidth: 400},
		Log:      Log{Level: "info", Format: "text"},
		Paths:    Paths{State: "/var/lib/meltwatch"},
	}
}

func (Meter) withDefaults() any {
	return Meter{
		Serial:  Serial{Baud: 19_200, DataBits: 8, Parity: "even", StopBits: 1},
		Unit:    1,
		Period:  500 * time.Millisecond,
		Timeout: 300 * time.Millisecond,
		// Known fused-magnesium furnaces draw up to 20 kA, where their meters clip,
		// and some hundred amperes when the arc goes out.
		CurrentMin: -500,
		// A request takes longer than sixteen bytes, even at 9,600 baud.
		ReadMax: maxReadMax,
		ReadGap: 8,
	}
}

func (Field) withDefaults() any {
	return Field{Function: 3, Type: "float32", Order: "ABCD", Scale: 1}
}

// Text reads a file's document without parsing or checking it.
func Text(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read config %s: %w", path, err)
	}
	return text, nil
}

// Read reads, parses and checks a file.
func Read(path string) (Config, error) {
	text, err := Text(path)
	if err != nil {
		return Config{}, err
	}
	c, err := Parse(text)
	if err != nil {
		return Config{}, fmt.Errorf("config %s:\n%w", path, err)
	}
	return c, nil
}

// Parse turns a YAML document into a checked configuration. On a fault the error
// is a Problems with every fault found.
func Parse(text []byte) (Config, error) { return Merged(text, nil) }

// Tolerate is Parse for the box's own file at the agent's start, after an upgrade.
// Faults that release 0.3.0 accepted become warnings, and the values keep their former
// meaning. An edited file and any remote document must pass Parse or Merged.
func Tolerate(text []byte) (c Config, warnings Problems, err error) { return MergeTolerated(text, nil) }

// MergeTolerated is Merged with the rules of Tolerate.
func MergeTolerated(local, patch []byte) (c Config, warnings Problems, err error) {
	c, faults := merged(local, patch)
	if err := faults.err(); faults.olderRule {
		return Config{}, nil, err
	}
	return c, faults.sorted(), nil
}

// ReadTolerated is Read with the rules of Tolerate, without the warnings.
func ReadTolerated(path string) (Config, error) {
	text, err := Text(path)
	if err != nil {
		return Config{}, err
	}
	c, _, err := Tolerate(text)
	if err != nil {
		return Config{}, fmt.Errorf("config %s:\n%w", path, err)
	}
	return c, nil
}

// decode applies the document to the defaults and checks the result. After a fault of an older rule the
// configuration must not be used.
func decode(root *yaml.Node) (Config, problemList) {
	c := Default()
	d := decoder{lines: map[string]int{}}
	if root != nil {
		d.value(root, reflect.ValueOf(&c).Elem(), "")
	}
	c.complete()
	check(c, func(key, format string, args ...any) {
		if !d.reported(key) {
			d.problems.add(key, d.line(key), format, args...)
		}
	})
	return c, d.problems
}

// reported reports whether decoding already found a fault with key: a second message
// about its default would only confuse.
func (d *decoder) reported(key string) bool { return d.problems.keys[key] }

// line is the line of key, or else of the section it is missing from.
func (d *decoder) line(key string) int {
	for key != "" {
		if line, ok := d.lines[key]; ok {
			return line
		}
		key = key[:max(strings.LastIndex(key, "."), 0)]
	}
	return 0
}

func parseYAML(text []byte) (*yaml.Node, error) {
	if len(text) > maxSize {
		return nil, fmt.Errorf("the document is over %d KiB: it cannot be a configuration", maxSize>>10)
	}
	if !utf8.Valid(text) && !isUTF16(text) {
		return nil, errors.New("the document is not valid UTF-8: save the file as UTF-8")
	}
	in := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	err := in.Decode(&document)
	if errors.Is(err, io.EOF) { // an empty document
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: YAML wants `key: value` lines, nested by two spaces", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := in.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document: remove the `---` between them")
	}
	return document.Content[0], nil
}

// isUTF16 reports whether a document starts with the byte order mark of UTF-16, which
// YAML accepts.
func isUTF16(text []byte) bool {
	return bytes.HasPrefix(text, []byte{0xFE, 0xFF}) || bytes.HasPrefix(text, []byte{0xFF, 0xFE})
}

// complete derives defaults from other settings.
func (c *Config) complete() {
	if c.MQTT.ClientID == "" && c.Site != "" && c.Furnace != "" {
		c.MQTT.ClientID = "meltwatch-" + c.Site + "-" + c.Furnace
	}
	for name, m := range c.Meters {
		if m.CurrentMax == 0 && c.State.NormalCurrent > 0 {
			m.CurrentMax = m.MaxCurrent(c.State.NormalCurrent)
			c.Meters[name] = m
		} // otherwise the set-point, which is read later, sets the bound
	}
}

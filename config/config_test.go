package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func read(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestLeastDocumentIsFilledWithDefaults(t *testing.T) {
	c, err := Parse(read(t, "testdata/good.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	meter := c.Meters["main"]
	if meter.Period != 500*time.Millisecond || meter.Unit != 1 || meter.Serial.Parity != "even" {
		t.Errorf("meter defaults missing: %+v", meter)
	}
	if field := meter.Fields[FieldCurrentB]; !reflect.DeepEqual(field, Field{Address: 2, Function: 3, Type: "float32", Order: "ABCD", Scale: 1}) {
		t.Errorf("field defaults missing: %+v", field)
	}
	if c.MQTT.ClientID != "meltwatch-plant-1-f07" {
		t.Errorf("client id %q is not made of site and furnace", c.MQTT.ClientID)
	}
}

// Every file in testdata/bad says in its first line what must be found.
func TestBadDocumentsAreRefusedByKeyAndRemedy(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d bad documents, %v; want 30 at least", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text := read(t, file)
			first, _, _ := strings.Cut(string(text), "\n")
			want := strings.TrimPrefix(first, "# want: ")
			_, err := Parse(text)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v\nwant %s", err, want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the message repeats a secret: %v", err)
			}
		})
	}
}

func TestAllFaultsAreReportedAtOnce(t *testing.T) {
	_, err := Parse([]byte("site: a/b\nmeters: {m: {unit: 300, period: x}}\nlog: {level: loud}\n"))
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v, want Problems", err)
	}
	var keys []string
	for _, p := range problems {
		keys = append(keys, p.Key)
	}
	want := []string{"camera.url", "furnace", "log.level", "meters", "meters.m.fields", "meters.m.period", "meters.m.unit", "meters.m.url", "mqtt.broker", "site", "state.normal_current"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Error(diff)
	}
}

func TestFurnaceWithoutCameraNeedsNoURL(t *testing.T) {
	text := strings.Replace(string(read(t, "testdata/good.yaml")), "url: rtsp://127.0.0.1:8554/furnace", "enabled: false", 1)
	if _, err := Parse([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// The sample is the reference of all settings: what it shows as a default must
// be one, and no setting may be missing from it.
func TestSampleShowsEveryDefault(t *testing.T) {
	sample, err := Read("sample.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Site, want.Furnace, want.MQTT.ClientID = sample.Site, sample.Furnace, sample.MQTT.ClientID
	want.Camera.URL, want.Camera.Crop = sample.Camera.URL, sample.Camera.Crop
	want.MQTT.Broker, want.MQTT.Brokers = sample.MQTT.Broker, sample.MQTT.Brokers
	meter := Meter{}.withDefaults().(Meter)
	meter.URL, meter.Fields = sample.Meters["main"].URL, sample.Meters["main"].Fields
	want.Meters = map[string]Meter{"main": meter}
	want.complete()
	if diff := cmp.Diff(want, sample); diff != "" {
		t.Error(diff)
	}
	text := string(read(t, "sample.yaml"))
	for _, key := range allKeys(reflect.TypeFor[Config]()) {
		if !strings.Contains(text, key+":") {
			t.Errorf("setting %s is missing from the sample", key)
		}
	}
}

func allKeys(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		field := t.Field(i)
		keys = append(keys, field.Tag.Get("yaml"))
		inner := field.Type
		if inner.Kind() == reflect.Map {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			keys = append(keys, allKeys(inner)...)
		}
	}
	return keys
}

func TestBrokersAreTriedInTheirOrder(t *testing.T) {
	m := MQTT{Brokers: map[string]Broker{"c": {URL: "tcp://c:1"}, "b": {URL: "tcp://b:1", Order: 2}, "a": {URL: "tcp://a:1", Order: 2}}}
	want := []NamedBroker{{"c", "tcp://c:1"}, {"a", "tcp://a:1"}, {"b", "tcp://b:1"}}
	if diff := cmp.Diff(want, m.Addresses()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]NamedBroker{{"", "tcp://d:1"}}, MQTT{Broker: "tcp://d:1"}.Addresses()); diff != "" {
		t.Error(diff)
	}
}

func TestMissingFileIsNamed(t *testing.T) {
	if _, err := Read("testdata/none.yaml"); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Fatalf("got %v, want an error that names the file", err)
	}
}

// FuzzParse: no document may panic or hang, and one that is accepted is
// complete.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/*.yaml")
	for _, file := range append(files, "testdata/good.yaml", "sample.yaml") {
		f.Add(read(f, file))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text)
		if err == nil && (c.Site == "" || len(c.Meters) == 0 || c.MQTT.Addresses()[0].URL == "") {
			t.Errorf("accepted an incomplete document: %+v", c)
		}
	})
}

// What shares registers by design, or may stand in them in more than one notation.
func TestMetersThatAreRight(t *testing.T) {
	good := string(read(t, "testdata/good.yaml"))
	for name, edit := range map[string][2]string{
		"bits of one register":            {"set_point: {address: 6}", "set_point: {address: 6}\n      feeding: {address: 8, type: bit, bit: 0}\n      manual: {address: 8, type: bit, bit: 1}"},
		"one address of two functions":    {"set_point: {address: 6}", "set_point: {address: 0, function: 4}"},
		"one address of two units":        {"      set_point: {address: 6}\n", "  plc: {url: tcp://127.0.0.1:502, unit: 2, fields: {set_point: {address: 0}}}\n"},
		"the last two registers":          {"set_point: {address: 6}", "set_point: {address: 65534}"},
		"the last register":               {"set_point: {address: 6}", "set_point: {address: 65535, type: int16}"},
		"signed and unsigned marks":       {"set_point: {address: 6}", "set_point: {address: 6, type: int16, missing: [-9999, 0x7ffe, 65535]}"},
		"reads of two registers":          {"tcp://127.0.0.1:502", "tcp://127.0.0.1:502\n    read_max: 2\n    read_gap: 0"},
		"a serial line by its identity":   {"tcp://127.0.0.1:502", "rtu:///dev/serial/by-id/usb-FTDI-if00"},
		"the highest port and a hostname": {"tcp://127.0.0.1:502", "rtuovertcp://gateway:65535"},
	} {
		if _, err := Parse([]byte(strings.Replace(good, edit[0], edit[1], 1))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

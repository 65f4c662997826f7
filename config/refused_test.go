package config

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"meltwatch/config/strict/stricttest"
)

func TestWorstPatchesAreAnsweredAtOnce(t *testing.T) {
	local := read(t, "testdata/good.yaml")
	stricttest.CheckBounded(t, func(document []byte) {
		_, err := Merged(local, document)
		var problems Problems
		if err != nil && (!errors.As(err, &problems) || len(problems) > maxProblems+1 || len(err.Error()) > 64<<10) {
			t.Errorf("%d problems in %d bytes", len(problems), len(err.Error()))
		}
	})
}

func TestFaultsAreToldUpToABoundAndCounted(t *testing.T) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "key_%d: 1\n", i)
	}
	_, err := Parse([]byte(text.String()))
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != maxProblems+1 {
		t.Fatalf("%d problems", len(problems))
	}
	if last := problems[maxProblems].String(); !strings.HasPrefix(last, "and 98") || !strings.HasSuffix(last, " more") {
		t.Errorf("the last line is %q", last)
	}
}

// with is the good file with one setting changed by a patch.
func with(t *testing.T, patch string) (Config, error) {
	t.Helper()
	return Merged(read(t, "testdata/good.yaml"), []byte(patch))
}

// inFile is the good file with a line more.
func inFile(t *testing.T, line string) error {
	t.Helper()
	_, err := Parse(append(read(t, "testdata/good.yaml"), "\n"+line+"\n"...))
	return err
}

func TestValuesThatMustNotBeAccepted(t *testing.T) {
	long := strings.Repeat("u", 70_000)
	for patch, want := range map[string]string{
		`{"mqtt": {"broker": "tcp://h:0"}}`:                                  "mqtt.broker: port 0",
		`{"mqtt": {"broker": "tcp://h:99999"}}`:                              "mqtt.broker: port 99999",
		`{"mqtt": {"broker": "ws://h:65536/mqtt"}}`:                          "mqtt.broker: port 65536",
		`{"mqtt": {"broker": "wss://h:00000/mqtt"}}`:                         "mqtt.broker: port 00000",
		`{"mqtt": {"broker": "ssl://h"}}`:                                    "mqtt.broker: names no port: give it as ssl://h:8883",
		`{"mqtt": {"broker": "ssl://[::1]"}}`:                                "mqtt.broker: names no port",
		`{"mqtt": {"broker": "tcp://h:"}}`:                                   "mqtt.broker: names no port",
		`{"mqtt": {"broker": null, "brokers": {"a": {"url": "ssl://h:0"}}}}`: "mqtt.brokers.a.url: port 0",
		`{"mqtt": {"username": "` + long + `"}}`:                             "mqtt.username: has 70000 bytes",
		`{"mqtt": {"username": "a\u0000b"}}`:                                 "mqtt.username: holds a control character",
		`{"mqtt": {"username": "a\nb"}}`:                                     "mqtt.username: holds a control character",
		`{"mqtt": {"username": "\ud800"}}`:                                   "mqtt.username: \\ud800 is half a surrogate pair",
		"{\"mqtt\": {\"username\": \"\xff\"}}":                               "mqtt.username: is not valid UTF-8",
		`{"mqtt": {"password_file": "` + long + `"}}`:                        "mqtt.password_file: has 70000 bytes",
		`{"camera": {"url": "rtsp://h/` + long + `"}}`:                       "camera.url: has",
		`{"state": {"mean_seconds": "010"}}`:                                 `state.mean_seconds: "010" is read as 10 by some and as octal by others: write 10, or 0o10 for octal`,
		`{"state": {"enter": "01"}}`:                                         "state.enter: \"01\" is read",
		`{"mqtt": {"queue": "-010"}}`:                                        "mqtt.queue: \"-010\" is read",
	} {
		if _, err := with(t, patch); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 2000 {
			t.Errorf("%.80s: %.300v, want %q", patch, err, want)
		}
	}
	for _, patch := range []string{
		`{"mqtt": {"broker": "ws://h/mqtt"}}`, `{"mqtt": {"broker": "wss://h"}}`, `{"mqtt": {"broker": "ssl://[::1]:8883"}}`,
		`{"mqtt": {"broker": "tcp://h:65535"}}`, `{"mqtt": {"username": "Größe 😀"}}`, `{"mqtt": {"username": "\ud83d\ude00"}}`,
		`{"state": {"mean_seconds": "0x10"}}`, `{"state": {"mean_seconds": "0o12"}}`, `{"state": {"enter": 0.7, "exit": 0.5}}`,
		`{"state": {"mean_seconds": 0}}`,
	} {
		if _, err := with(t, patch); err != nil {
			t.Errorf("%s: %v", patch, err)
		}
	}
}

func TestTextsAndNumbersOfAFileThatMustNotBeAccepted(t *testing.T) {
	for line, want := range map[string]string{
		"state: {mean_seconds: 010}":              `"010" is read as 10`,
		"state: {normal_current: 0100}":           `"0100" is read as 100`,
		"state: {mean_seconds: 00}":               `"00" is read as 0`,
		"log: {level: \"\\uD800\"}":               "Unicode",
		"log: {level: \"\xff\"}":                  "not valid UTF-8",
		"log: {level: \"\xed\xa0\x80\"}":          "not valid UTF-8",
		"log: {level: \"a\\0b\"}":                 "control character",
		"outbox: {event_mb: 010, state_mb: 0100}": "outbox.state_mb",
	} {
		if err := inFile(t, line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
}

func TestSectionsOfNamesAreBounded(t *testing.T) {
	var many []string
	for i := range maxNamed + 1 {
		many = append(many, fmt.Sprintf(`"b%d": {"url": "tcp://h:1"}`, i))
	}
	patch := func(n int) string {
		return `{"mqtt": {"broker": null, "brokers": {` + strings.Join(many[:n], ",") + `}}}`
	}
	if _, err := with(t, patch(maxNamed)); err != nil {
		t.Error(err)
	}
	if _, err := with(t, patch(maxNamed+1)); err == nil || !strings.Contains(err.Error(), "mqtt.brokers: has 65 entries") {
		t.Errorf("%v", err)
	}
}

// The points of small order in every encoding that a verifier may take, from the
// published lists (RFC 8032 allows y beyond the field nowhere, but readers exist
// that take it).
func TestKeysOfSmallOrderAreRefused(t *testing.T) {
	low := []string{
		strings.Repeat("00", 32),
		"01" + strings.Repeat("00", 31),
		"ec" + strings.Repeat("ff", 30) + "7f",
		"ed" + strings.Repeat("ff", 30) + "7f",
		"ee" + strings.Repeat("ff", 30) + "7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	}
	for _, text := range slices.Clone(low) {
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		raw[31] |= 0x80
		low = append(low, hex.EncodeToString(raw))
	}
	for _, text := range low {
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		key := base64.StdEncoding.EncodeToString(raw)
		if _, ok := Key(key); ok {
			t.Errorf("key %s is taken", text)
		}
		err = inFile(t, fmt.Sprintf("trust: {config_keys: {desk: %q}, model_keys: {desk: %q}}", key, key))
		for _, section := range []string{"trust.config_keys.desk", "trust.model_keys.desk"} {
			if err == nil || !strings.Contains(err.Error(), section) || !strings.Contains(err.Error(), "small order") {
				t.Errorf("key %s: %v", text, err)
			}
		}
	}
}

func TestHonestKeysAreTaken(t *testing.T) {
	for i := range 200 {
		public, _, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := Key(base64.StdEncoding.EncodeToString(public)); !ok {
			t.Fatalf("key %d, %x, is refused", i, public)
		}
	}
	off := 0
	for i := range 200 {
		raw := make([]byte, 32)
		raw[0], raw[31] = byte(i), 0x11
		if !onCurve(raw) {
			off++
		}
	}
	if off < 60 || off > 140 { // half of all y have no x
		t.Errorf("%d of 200 points are off the curve", off)
	}
}

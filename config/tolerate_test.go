package config

import (
	"strings"
	"testing"
	"time"
)

// A box that ran with release 0.3.0 starts on its file: what is refused since is warned
// of, with its key, and means what it meant. Everything else refuses it.
func TestFilesOf030AreTolerated(t *testing.T) {
	good := string(read(t, "testdata/good.yaml"))
	change := func(old, new string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("testdata/good.yaml holds no %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	weak := strings.Repeat("A", 43) + "=" // 32 zero bytes
	for name, c := range map[string]struct {
		text, key string
		means     func(Config) bool
	}{
		"octal":                   {change("{address: 2}", "{address: 010}"), "meters.main.fields.current_b.address", func(c Config) bool { return c.Meters["main"].Fields["current_b"].Address == 8 }},
		"two currents, one place": {change("{address: 4}", "{address: 2}"), "meters.main.fields.current_c.address", nil},
		"meter's port":            {change("tcp://127.0.0.1:502", "tcp://127.0.0.1:99999"), "meters.main.url", nil},
		"camera's port":           {change("rtsp://127.0.0.1:8554/furnace", "rtsp://127.0.0.1:0/furnace"), "camera.url", nil},
		"camera's password":       {change("rtsp://127.0.0.1:8554/furnace", "rtsp://127.0.0.1:8554/furnace?password=secret"), "camera.url", nil},
		"broker's port":           {change("tcp://127.0.0.1:1883", "tcp://127.0.0.1:0"), "mqtt.broker", nil},
		"TLS without a port":      {change("tcp://127.0.0.1:1883", "ssl://127.0.0.1"), "mqtt.broker", nil},
		"long user name":          {good + "\nmqtt: {broker: \"tcp://127.0.0.1:1883\", username: " + strings.Repeat("u", 2000) + "}\n", "mqtt.username", nil},
		"weak key":                {good + "\ntrust: {model_keys: {desk: " + weak + "}}\n", "trust.model_keys.desk", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(c.text, "\nmqtt: {broker") {
				c.text = strings.Join(strings.Split(c.text, "\nmqtt:\n  broker: tcp://127.0.0.1:1883\n"), "\n")
			}
			if _, err := Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.key) || strings.Contains(err.Error(), "secret") {
				t.Fatalf("Parse: %v, want a refusal of %s", err, c.key)
			}
			got, warnings, err := Tolerate([]byte(c.text))
			if err != nil || len(warnings) == 0 || warnings[0].Key != c.key {
				t.Fatalf("Tolerate: %v, %v; want a warning of %s", warnings, err, c.key)
			}
			if got.Site != "plant-1" || c.means != nil && !c.means(got) {
				t.Errorf("the file means something else now: %+v", got.Meters)
			}
			if _, err := Merged([]byte(c.text), []byte(`{"log": {"level": "debug"}}`)); err == nil {
				t.Error("a document from afar passes over it")
			}
			if got, _, err := MergeTolerated([]byte(c.text), []byte(`{"log": {"level": "debug"}}`)); err != nil || got.Log.Level != "debug" {
				t.Errorf("a document that ran over it before does not: %v", err)
			}
		})
	}
}

func TestToleranceEndsAtOlderRules(t *testing.T) {
	good := string(read(t, "testdata/good.yaml"))
	for name, text := range map[string]string{
		"one of each":           strings.Replace(strings.Replace(good, "{address: 2}", "{address: 010}", 1), "site: plant-1", "site: a/b", 1),
		"not YAML":              "a: [",
		"unknown key":           good + "\nsate: {}\n",
		"many newer, one older": strings.Replace(good, "site: plant-1", "site: a/b", 1) + "\ntrust: {model_keys: {" + keys(40) + "}}\n",
	} {
		if _, warnings, err := Tolerate([]byte(text)); err == nil || warnings != nil {
			t.Errorf("%s: tolerated, with %v", name, warnings)
		}
	}
	c, warnings, err := Tolerate([]byte(good))
	if err != nil || len(warnings) > 0 || c.Meters["main"].Period != 500*time.Millisecond {
		t.Errorf("a file without a fault: %v, %v", warnings, err)
	}
}

func keys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("k" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ": " + strings.Repeat("A", 43) + "=, ")
	}
	return b.String()
}

// A key that is tolerated is believed nowhere.
func TestWeakKeysAreBelievedNowhere(t *testing.T) {
	if _, ok := Key(strings.Repeat("A", 43) + "="); ok {
		t.Error("a key of zeros is a key")
	}
}

// A password in camera.url, which release 0.3.0 accepted, is not shown to persons.
func TestPasswordInAURLIsNotShown(t *testing.T) {
	good := string(read(t, "testdata/good.yaml"))
	const plain = "rtsp://127.0.0.1:8554/furnace"
	for url, shown := range map[string]string{
		plain + "?password=hunter2": "rtsp://127.0.0.1:8554/hidden",
		plain + "/admin:hunter2":    "rtsp://127.0.0.1:8554/hidden",
		plain + "?channel=1":        plain + "?channel=1",
	} {
		c, _, err := Tolerate([]byte(strings.Replace(good, plain, url, 1)))
		if err != nil || c.Camera.URL != url {
			t.Fatalf("%s: %v", c.Camera.URL, err)
		}
		if is := c.Shown().Camera.URL; is != shown {
			t.Errorf("%s is shown as %s", url, is)
		}
		after, err := Parse([]byte(good))
		if err != nil {
			t.Fatal(err)
		}
		differences, err := Differences(c, after)
		if err != nil || len(differences) != 1 || differences[0] != (Difference{"camera.url", shown, plain}) {
			t.Errorf("%s: %v, %v", url, differences, err)
		}
	}
}

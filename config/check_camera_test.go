package config

import (
	"strings"
	"testing"
)

// camera is a document whose camera section is the given one.
func camera(section string) []byte {
	return []byte(`{site: plant-1, furnace: f07, mqtt: {broker: "tcp://127.0.0.1:1883"},
meters: {main: {url: "tcp://127.0.0.1:502", fields: {current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}},
camera: {` + section + `}}`)
}

func TestCamerasURL(t *testing.T) {
	const secret = "use username and password_file instead"
	for url, want := range map[string]string{
		"rtsp://camera/": "",
		"rtsp://camera:554/stream?channel=1&subtype=0":                      "",
		"rtsp://[fe80::1]:554/Streaming/Channels/101":                       "",
		"rtsps://camera.example/axis-media/media.amp?videocodec=h264":       "",
		"rtsp://camera/user=admin&password=&channel=1&stream=0.sdp?":        "", // no secret in it
		"rtsp://camera/stream?time=10:20":                                   "",
		"rtsp://camera:1/":                                                  "",
		"rtsp://camera:65535/":                                              "",
		"rtsp://camera:0/stream":                                            "port 0 is out of bounds",
		"rtsp://camera:99999/stream":                                        "port 99999 is out of bounds",
		"rtsp://camera:65536/stream":                                        "port 65536 is out of bounds",
		"rtsp://camera:99999999999999999999/stream":                         "port 99999999999999999999 is out",
		"rtsp://camera:/stream":                                             "port is missing after the colon",
		"rtsp://camera/stream?password=hunter2":                             secret,
		"rtsp://camera/stream?user=a&PWD=hunter2":                           secret,
		"rtsp://camera/stream?usr=a;pass=hunter2":                           secret,
		"rtsp://camera/stream?%70assword=hunter2":                           secret,
		"rtsp://camera/stream?admin:hunter2":                                secret,
		"rtsp://camera/stream?admin:hunter2@":                               secret,
		"rtsp://camera/stream?auth=YWRtaW46aHVudGVyMg==":                    secret,
		"rtsp://camera/stream?x=1&token=hunter2":                            secret,
		"rtsp://camera/stream#password=hunter2":                             secret,
		"rtsp://camera/stream#admin:hunter2":                                secret,
		"rtsp://camera/user=admin_password=hunter2_channel=1_stream=0.sdp":  secret,
		"rtsp://camera/user=admin&password=hunter2&channel=1&stream=0.sdp?": secret,
		"rtsp://camera/admin:hunter2@stream":                                secret,
		"rtsp://admin:hunter2@camera/stream":                                secret,
		"http://camera/stream":                                              "scheme",
		"rtsp:///stream":                                                    "names no host",
		"rtsp://camera/\uFFFD":                                              "invalid UTF-8",
		"rtsp://camera/\u200b":                                              "cannot be printed",
		"rtsp://camera/" + strings.Repeat("x", maxURL):                      "is over 2048 bytes",
	} {
		_, err := Parse(camera(`url: "` + url + `"`))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", url, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), "camera.url") || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", url, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "unter2") {
			t.Errorf("the message repeats a secret: %v", err)
		}
	}
}

func TestCamerasValues(t *testing.T) {
	for section, want := range map[string]string{
		`url: "rtsps://camera/", ca_file: ca.pem`:                           "",
		`url: "rtsps://camera/", transport: tcp`:                            "",
		`url: "rtsp://camera/", transport: udp`:                             "",
		`url: "rtsp://camera/", ca_file: ca.pem`:                            "camera.ca_file (line 3): needs a camera of scheme rtsps",
		`url: "rtsps://camera/", transport: udp`:                            "camera.transport (line 3): udp is not encrypted",
		`url: "rtsp://camera/", transport: multicast`:                       "camera.transport (line 3): \"multicast\" is not one of auto, tcp, udp",
		`url: "rtsp://camera/", username: "a\uFFFD"`:                        "camera.username (line 3): holds characters",
		`url: "rtsp://camera/", username: "a\x1b[2J"`:                       "camera.username (line 3): holds a control character",
		`url: "rtsp://camera/", username: ` + strings.Repeat("u", 70_000):   "camera.username (line 3): has 70000 bytes",
		`url: "rtsp://camera/", username: a, password_file: "/etc/a\uFFFD"`: "camera.password_file (line 3): holds characters",
		`url: "rtsps://camera/", ca_file: "/etc/a\0b"`:                      "camera.ca_file (line 3): holds a control character",
	} {
		_, err := Parse(camera(section))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.80s: %v, want %s", section, err, want)
		}
	}
}

// What comes from afar may hold what YAML cannot: halves of surrogates.
func TestHalvesOfSurrogatesAreRefused(t *testing.T) {
	for _, patch := range []string{`{"camera": {"url": "rtsp://camera/\ud800"}}`, `{"camera": {"username": "\udfff"}}`} {
		if _, err := Merged(camera(`url: "rtsp://camera/"`), []byte(patch)); err == nil {
			t.Errorf("%s: accepted", patch)
		}
	}
}

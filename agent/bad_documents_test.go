package agent

import "strings"

// badDocuments returns payloads that must be rejected or rolled back, with the status
// and the key of the fault. Revisions are far above the running one.
func badDocuments() map[string]struct{ payload, status, key string } {
	type bad = struct{ payload, status, key string }
	patch := func(config, key string) bad {
		return bad{`{"revision": 1000, "deadline_s": 4, "config": ` + config + `}`, "rejected", key}
	}
	rolledBack := func(config, key string) bad {
		return bad{`{"revision": 1000, "deadline_s": 4, "config": ` + config + `}`, "rolled_back", key}
	}
	deep := strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000)
	return map[string]bad{
		"not JSON":                     {`revision: 5`, "rejected", ""},
		"JSON cut short":               {`{"revision": 1000, "config": {"state"`, "rejected", ""},
		"two objects":                  {`{"revision": 1000, "config": {}} {}`, "rejected", ""},
		"a list":                       {`[1, 2]`, "rejected", ""},
		"a word":                       {`"please"`, "rejected", ""},
		"NUL bytes":                    {"\x00\x00\x00", "rejected", ""},
		"not UTF-8":                    {`{"revision": 1000, "config": {"site": "` + "\xff\xfe" + `"}}`, "rejected", "site"},
		"member in another case":       {`{"revision": 1000, "Config": {}}`, "rejected", ""},
		"member given twice":           {`{"revision": 4, "revision": 1000, "config": {}}`, "rejected", ""},
		"half a surrogate pair":        {`{"revision": 1000, "config": {"mqtt": {"username": "\ud800"}}}`, "rejected", "mqtt.username"},
		"revision too far ahead":       {`{"revision": 9007199254740991, "config": {}}`, "rejected", "revision"},
		"revision of 63 bits":          {`{"revision": 9223372036854775807, "config": {}}`, "rejected", "revision"},
		"port 0":                       patch(`{"mqtt": {"broker": "tcp://127.0.0.1:0"}}`, "mqtt.broker"),
		"port beyond 65535":            patch(`{"mqtt": {"broker": "tcp://127.0.0.1:99999"}}`, "mqtt.broker"),
		"TLS without a port":           patch(`{"mqtt": {"broker": "ssl://broker.plant"}}`, "mqtt.broker"),
		"a number that looks octal":    patch(`{"state": {"hold_seconds": "010"}}`, "state.hold_seconds"),
		"a user name of 70 kB":         patch(`{"mqtt": {"username": "`+strings.Repeat("u", 70_000)+`"}}`, "mqtt.username"),
		"a NUL in a user name":         patch(`{"mqtt": {"username": "a\u0000b"}}`, "mqtt.username"),
		"thousands of unknown keys":    patch(`{`+strings.Repeat(`"k": 1,`, 20_000)+`"k": 1}`, ""),
		"unknown member":               {`{"revision": 1000, "config": {}, "force": true}`, "rejected", ""},
		"no config":                    {`{"revision": 1000}`, "rejected", "config"},
		"no revision":                  {`{"config": {}}`, "rejected", "revision"},
		"revision zero":                {`{"revision": 0, "config": {}}`, "rejected", "revision"},
		"revision below zero":          {`{"revision": -4, "config": {}}`, "rejected", "revision"},
		"revision as text":             {`{"revision": "5", "config": {}}`, "rejected", "revision"},
		"revision with a fraction":     {`{"revision": 5.5, "config": {}}`, "rejected", "revision"},
		"revision beyond 64 bits":      {`{"revision": 99999999999999999999, "config": {}}`, "rejected", "revision"},
		"revision that is older":       {`{"revision": 4, "config": {"state": {"hold_seconds": 9}}}`, "rejected", "revision"},
		"revision taken":               {`{"revision": 5, "config": {"state": {"hold_seconds": 9}}}`, "rejected", "revision"},
		"deadline too short":           {`{"revision": 1000, "config": {}, "deadline_s": -1}`, "rejected", "deadline_s"},
		"deadline too long":            {`{"revision": 1000, "config": {}, "deadline_s": 86400}`, "rejected", "deadline_s"},
		"unknown key that signed":      {`{"revision": 1000, "config": {}, "key": "x", "signature": "AAAA"}`, "rejected", "key"},
		"huge":                         {`{"revision": 1000, "config": {"site": "` + strings.Repeat("x", 300<<10) + `"}}`, "rejected", ""},
		"deep":                         patch(deep, ""),
		"a list of lists":              patch(strings.Repeat("[", 2000)+strings.Repeat("]", 2000), ""),
		"config is a list":             patch(`[]`, ""),
		"config is a number":           patch(`7`, ""),
		"key given twice":              patch(`{"state": {"enter": 0.5, "enter": 0.6}}`, ""),
		"unknown section":              patch(`{"sate": {}}`, "sate"),
		"unknown key":                  patch(`{"camera": {"ulr": "rtsp://x/y"}}`, "camera.ulr"),
		"unknown quantity":             patch(`{"meters": {"plc": {"fields": {"voltage": {"address": 1}}}}}`, "meters.plc.fields.voltage"),
		"a name with a slash":          patch(`{"meters": {"a/b": {}}}`, "meters.a/b"),
		"site":                         patch(`{"site": "elsewhere"}`, "site"),
		"trust":                        patch(`{"trust": {"model_keys": {"me": "AAAA"}}}`, "trust"),
		"remote":                       patch(`{"remote": {"config": false}}`, "remote"),
		"commands":                     patch(`{"commands": {"restart": true}}`, "commands"),
		"paths":                        patch(`{"paths": {"programs": "/tmp"}}`, "paths"),
		"model folder":                 patch(`{"model": {"path": "/tmp"}}`, "model.path"),
		"client id":                    patch(`{"mqtt": {"client_id": "another"}}`, "mqtt.client_id"),
		"path of a secret":             patch(`{"camera": {"username": "u", "password_file": "/etc/shadow"}}`, "camera.password_file"),
		"password in a URL":            patch(`{"camera": {"url": "rtsp://u:secret@h/x"}}`, "camera.url"),
		"out of range":                 patch(`{"meters": {"plc": {"unit": 999}}}`, "meters.plc.unit"),
		"period out of range":          patch(`{"meters": {"plc": {"period": "1ms"}}}`, "meters.plc.period"),
		"timeout over period":          patch(`{"meters": {"plc": {"period": "100ms"}}}`, "meters.plc.timeout"),
		"exit above enter":             patch(`{"state": {"enter": 0.4, "exit": 0.9}}`, "state.exit"),
		"enter under the model's exit": patch(`{"state": {"enter": 0.5}}`, "state.enter"),
		"exit over the model's enter":  patch(`{"state": {"exit": 0.99}}`, "state.exit"),
		"a field in two meters":        patch(`{"meters": {"second": {"url": "tcp://127.0.0.1:1", "fields": {"set_point": {"address": 1}}}}}`, "meters.second.fields.set_point"),
		"phases in two meters":         patch(`{"meters": {"plc": {"fields": {"current_c": null}}}}`, "meters"),
		"no meter left":                patch(`{"meters": null}`, "meters"),
		"no broker left":               patch(`{"mqtt": {"broker": null}}`, "mqtt.broker"),
		"section where a number goes":  patch(`{"state": {"enter": {"a": 1}}}`, "state.enter"),
		"number where a section goes":  patch(`{"camera": 7}`, "camera"),
		"list where a map goes":        patch(`{"meters": [{"url": "tcp://x:1"}]}`, "meters"),
		"number without a unit":        patch(`{"camera": {"timeout": 5}}`, "camera.timeout"),
		"credential that is not there": patch(`{"camera": {"username": "u", "password_file": "nobody"}}`, "camera.password_file"),
		"broker that does not exist":   rolledBack(`{"mqtt": {"broker": "tcp://127.0.0.1:1"}}`, "mqtt.broker"),
		"broker that does not resolve": rolledBack(`{"mqtt": {"broker": "tcp://nobody.invalid:1883"}}`, "mqtt.broker"),
		"camera that does not exist":   rolledBack(`{"camera": {"url": "rtsp://127.0.0.1:1/nobody"}}`, "camera.url"),
		"camera and broker, both bad":  rolledBack(`{"camera": {"url": "rtsp://127.0.0.1:1/nobody"}, "mqtt": {"broker": "tcp://127.0.0.1:1"}}`, "camera.url"),
	}
}

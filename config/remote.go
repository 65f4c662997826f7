package config

import (
	"errors"
	"maps"
	"slices"
	"time"
)

// Remote is what may be changed over MQTT. It is set only on the box.
type Remote struct {
	// Config enables documents on config/desired, Model packages on model/desired.
	Config bool `yaml:"config"`
	Model  bool `yaml:"model"`
	// SignedConfig refuses documents without a signature by a key of trust.config_keys.
	// Model packages must be signed in any case.
	SignedConfig bool `yaml:"signed_config"`
	// Deadline is how long changed parts have to prove that they work, unless the
	// document states it.
	Deadline time.Duration `yaml:"deadline"`
	// ModelMB bounds a model package; ModelMemoryMB the resident memory of a
	// process that runs one. 1 MB is 10⁶ bytes.
	ModelMB       int `yaml:"model_mb"`
	ModelMemoryMB int `yaml:"model_memory_mb"`
	// ModelLatency bounds what a second's two calls may take, at the 95th
	// percentile.
	ModelLatency time.Duration `yaml:"model_latency"`
}

// Trust holds the trusted Ed25519 public keys by name, in base64 as `meltwatch model
// keygen` prints them. It is set only on the box.
type Trust struct {
	ConfigKeys map[string]string `yaml:"config_keys"`
	ModelKeys  map[string]string `yaml:"model_keys"`
}

// Commands enables commands over MQTT. It is set only on the box; no command runs a
// shell.
type Commands struct {
	Acknowledge bool `yaml:"acknowledge"` // mark an alarm as seen; release a held one
	LogLevel    bool `yaml:"log_level"`   // for an hour
	Restart     bool `yaml:"restart"`     // of one part
	SelfTest    bool `yaml:"self_test"`   // the state of every part
	Snapshot    bool `yaml:"snapshot"`    // the newest picture as JPEG
	Shelve      bool `yaml:"shelve"`      // silence an alarm for a time
	// PerMinute bounds the rate of commands.
	PerMinute int `yaml:"per_minute"`
}

func (r Remote) check(f report, t Trust) {
	f.duration("deadline", r.Deadline, 5*time.Second, 10*time.Minute)
	f.between("model_mb", float64(r.ModelMB), 1, 1024)
	f.between("model_memory_mb", float64(r.ModelMemoryMB), 50, 16_384)
	f.duration("model_latency", r.ModelLatency, 10*time.Millisecond, 900*time.Millisecond)
	if r.Config && r.SignedConfig && len(t.ConfigKeys) == 0 {
		f("signed_config", "is true, but trust.config_keys names no key: no document could ever be accepted")
	}
}

func (t Trust) check(f report) {
	checkKeys(f.under("config_keys"), t.ConfigKeys)
	checkKeys(f.under("model_keys"), t.ModelKeys)
}

func checkKeys(f report, keys map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		if err := checkKey(keys[name]); err != nil {
			report := f
			if errors.Is(err, errWeakKey) {
				report = f.newer
			}
			report(name, "%s: take the line that `meltwatch model keygen` prints", err)
		}
	}
}

func (c Commands) check(f report) { f.between("per_minute", float64(c.PerMinute), 1, 600) }

// Package config holds every setting of the agent, its default and its bounds.
//
// A configuration is one YAML document. Unknown keys are errors, every fault is
// reported by its key together with what to do about it, and all faults are
// reported at once. Collections are maps by name, because a JSON merge
// patch (RFC 7396), which remote configuration uses (Merged), replaces arrays whole.
//
// Secrets are never values: a setting names a file, or a systemd credential,
// that holds one.
//
// The package imports nothing of ours. A part of the agent receives its own
// section by value; sections are compared as values to find what a change of the file
// or a remote document affects.
package config

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Config is the whole document.
type Config struct {
	// Site and Furnace name the box; they are part of every topic.
	Site    string `yaml:"site"`
	Furnace string `yaml:"furnace"`
	// Meters by name. Exactly one holds the three phase currents; others may add
	// the set-point and the switch positions.
	Meters map[string]Meter `yaml:"meters"`
	Camera Camera           `yaml:"camera"`
	Model  Model            `yaml:"model"`
	State  State            `yaml:"state"`
	MQTT   MQTT             `yaml:"mqtt"`
	Outbox Outbox           `yaml:"outbox"`
	// Remote, Trust and Commands are what may be done remotely, and by whom.
	Remote   Remote   `yaml:"remote"`
	Trust    Trust    `yaml:"trust"`
	Commands Commands `yaml:"commands"`
	Alarm    Alarm    `yaml:"alarm"`
	Metrics  Metrics  `yaml:"metrics"`
	Recorder Recorder `yaml:"recorder"`
	Web      Web      `yaml:"web"`
	Log      Log      `yaml:"log"`
	Paths    Paths    `yaml:"paths"`
}

// Camera is the RTSP camera and what is cut out of its picture.
type Camera struct {
	// Enabled is false on a furnace without a camera.
	Enabled bool `yaml:"enabled"`
	// URL is rtsp://host:port/path, or rtsps:// for TLS, without user or password.
	URL      string `yaml:"url"`
	Username string `yaml:"username"`
	// PasswordFile holds the password; a bare name is a systemd credential.
	PasswordFile string `yaml:"password_file"`
	// CAFile verifies an rtsps camera, PEM; the system's roots when empty. A bare name
	// is a systemd credential.
	CAFile string `yaml:"ca_file"`
	// Transport is how RTP is carried: tcp, udp, or auto, which is tcp if the camera
	// offers it and udp otherwise.
	Transport string `yaml:"transport"`
	// Decode is which pictures are decoded: all, or auto, which is the first ones of each
	// second if the camera sends a key frame each second.
	Decode string `yaml:"decode"`
	// Timeout limits opening the stream and each pause without data.
	Timeout time.Duration `yaml:"timeout"`
	// Crop is the part of the picture that shows the shell, in pixels; all zero
	// means the whole picture.
	Crop Crop `yaml:"crop"`
	// A fault must last this long before senses.video reports it; longer for a camera
	// of less than a frame in StaleAfter. FrozenAfter should be at least twice the
	// camera's distance of key frames.
	StaleAfter  time.Duration `yaml:"stale_after"`
	FrozenAfter time.Duration `yaml:"frozen_after"`
	BlackAfter  time.Duration `yaml:"black_after"`
	// Delay is how late the picture is against the current, as far as a person knows;
	// negative if it is early. The decision corrects it from the start, and the model's own
	// estimate goes on from there.
	Delay time.Duration `yaml:"delay"`
}

// MaxDelay bounds Camera.Delay either way.
const MaxDelay = 5 * time.Second

// Crop is a rectangle in pixels of the camera's picture.
type Crop struct {
	X      int `yaml:"x"`
	Y      int `yaml:"y"`
	Width  int `yaml:"width"`
	Height int `yaml:"height"`
}

// Model is which model decides.
type Model struct {
	// Path is the folder with the SavedModel and its manifest.
	Path string `yaml:"path"`
	// Timeout of one call; past it the second is decided by the rule.
	Timeout time.Duration `yaml:"timeout"`
}

// State overrides the manifest's thresholds; zero keeps the manifest's.
type State struct {
	MeanSeconds int     `yaml:"mean_seconds"`
	Enter       float64 `yaml:"enter"`
	Exit        float64 `yaml:"exit"`
	HoldSeconds int     `yaml:"hold_seconds"`
	// CV120 and CV45 are the fallback rule's levels.
	CV120 float64 `yaml:"cv_120"`
	CV45  float64 `yaml:"cv_45"`
	// NormalCurrent, in amperes, stands in for the set-point where the plant
	// reports none: under a tenth of it the furnace is off.
	NormalCurrent float64 `yaml:"normal_current"`
	// Suspect overrides the manifest's thresholds of a suspicion, the early warning.
	Suspect Suspect `yaml:"suspect"`
}

// Suspect overrides the manifest's thresholds of a suspicion; zero keeps the manifest's. A
// model without such thresholds never suspects, whatever is set here.
type Suspect struct {
	MeanSeconds int     `yaml:"mean_seconds"`
	Enter       float64 `yaml:"enter"`
	Exit        float64 `yaml:"exit"`
	HoldSeconds int     `yaml:"hold_seconds"`
}

// MQTT is the connection to the broker.
type MQTT struct {
	// Broker is tcp://host:port, ssl://host:port, ws://host:port/path or wss://….
	Broker string `yaml:"broker"`
	// Brokers by name replace Broker if there is more than one: the next is tried when
	// one is unreachable or does not acknowledge.
	Brokers  map[string]Broker `yaml:"brokers"`
	ClientID string            `yaml:"client_id"` // default meltwatch-<site>-<furnace>
	Username string            `yaml:"username"`
	// PasswordFile holds the password; a bare name is a systemd credential.
	PasswordFile string `yaml:"password_file"`
	// CAFile verifies the broker; the system's roots when empty.
	CAFile string `yaml:"ca_file"`
	// CertFile and KeyFile, both PEM, are the client certificate for a broker that
	// requires one; a bare name is a systemd credential. These files are read at each
	// connection, so that a renewed certificate needs no restart.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// KeepAlive bounds how long a lost connection goes unnoticed.
	KeepAlive time.Duration `yaml:"keep_alive"`
	// Queue bounds the records in memory while the disk refuses writes, or without an
	// outbox.
	Queue int `yaml:"queue"`
	// HistoryRate bounds the messages per second of an outage's backlog.
	HistoryRate int `yaml:"history_rate"`
	// Retain is false for a broker without retained messages. A subscriber then gets
	// the next state within a second, and a document published while the agent is
	// away is lost.
	Retain bool `yaml:"retain"`
}

// Broker is one of several.
type Broker struct {
	// URL as in MQTT.Broker.
	URL string `yaml:"url"`
	// Order in which brokers are tried: the lowest first, by name where equal.
	Order int `yaml:"order"`
}

// NamedBroker is a broker with its name.
type NamedBroker struct{ Name, URL string }

// Addresses are the brokers in the order in which they are to be tried. A broker given
// only by its URL has no name.
func (m MQTT) Addresses() []NamedBroker {
	if len(m.Brokers) == 0 {
		return []NamedBroker{{URL: m.Broker}}
	}
	names := slices.SortedFunc(maps.Keys(m.Brokers), func(a, b string) int {
		return cmp.Or(cmp.Compare(m.Brokers[a].Order, m.Brokers[b].Order), cmp.Compare(a, b))
	})
	addresses := make([]NamedBroker, len(names))
	for i, name := range names {
		addresses[i] = NamedBroker{name, m.Brokers[name].URL}
	}
	return addresses
}

// Outbox bounds the unacknowledged records on disk: in all, and by class. 1 MB is 10⁶
// bytes.
type Outbox struct {
	// Enabled is false if nothing may be written: records then wait in memory, and a
	// restart loses them.
	Enabled bool `yaml:"enabled"`
	// TotalMB bounds all classes together: the oldest current is dropped first, then
	// the oldest state, then the oldest events.
	TotalMB   int `yaml:"total_mb"`
	EventMB   int `yaml:"event_mb"`
	StateMB   int `yaml:"state_mb"`
	CurrentMB int `yaml:"current_mb"`
	// Older records are dropped.
	EventAge   time.Duration `yaml:"event_age"`
	StateAge   time.Duration `yaml:"state_age"`
	CurrentAge time.Duration `yaml:"current_age"`
}

// Log is the log on standard error.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text, json
}

// Paths are local folders and programs; they are never set remotely.
type Paths struct {
	// State holds what must survive a restart: the boot counter, the last state,
	// the outbox.
	State string `yaml:"state"`
	// Programs is the folder of meltwatch-camera and meltwatch-infer; empty means the
	// folder of meltwatch itself.
	Programs string `yaml:"programs"`
	// Recordings is the folder of the recorder; empty means recordings below State.
	Recordings string `yaml:"recordings"`
}

package meter

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"meltwatch/bench/rig"
)

// sender is one program that reads the meter and publishes it.
type sender struct {
	name string
	// settle is how long it runs before it is watched, once its first sample has arrived:
	// the agent loads its model.
	settle time.Duration
	// command prepares the program's files in folder and returns it, and the start of its
	// topics.
	command func(o Options, p place) (cmd *exec.Cmd, topic string, err error)
}

// place is where a sender runs.
type place struct {
	folder        string
	meter, broker string // URLs
	period        time.Duration
}

// The senders' names in the figures.
const (
	agent    = "agent"
	usual    = "telegraf"
	fastest  = "telegraf fastest"
	bareName = "bare"
)

func senders() []sender {
	return []sender{
		{agent, 7 * time.Second, agentCommand},
		{usual, 2 * time.Second, func(o Options, p place) (*exec.Cmd, string, error) {
			return telegrafCommand(o, p, "10s", rig.TelegrafBatch)
		}},
		{fastest, 2 * time.Second, func(o Options, p place) (*exec.Cmd, string, error) { return telegrafCommand(o, p, "10s", 1) }},
		{bareName, time.Second, bareCommand},
	}
}

// timeout is the limit of one request: well below the period.
func (p place) timeout() time.Duration { return p.period * 9 / 10 }

func agentCommand(o Options, p place) (*exec.Cmd, string, error) {
	const site = "performance"
	text := fmt.Sprintf(`site: %s
furnace: f1
meters: {plc: {url: %q, period: %s, timeout: %s, fields: {current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}}}}
camera: {enabled: false}
state: {normal_current: 11000}
model: {path: %q}
recorder: {enabled: false}
mqtt: {broker: %q}
paths: {state: %q, programs: %q}
`, site, p.meter, p.period, p.timeout(), o.Programs.Model, p.broker, filepath.Join(p.folder, "state"), o.Programs.Bin)
	path := filepath.Join(p.folder, "meltwatch.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	return exec.Command(filepath.Join(o.Programs.Bin, "meltwatch"), "run", "--config", path), rig.Root(site), nil //nolint:noctx // the caller ends it
}

func telegrafCommand(o Options, p place, flush string, batch int) (*exec.Cmd, string, error) {
	const topic = "telegraf/performance"
	text := rig.Telegraf{
		Interval: p.period.String(), Flush: flush, Batch: batch, Buffer: "memory", Folder: p.folder,
		Broker: p.broker, Topic: topic, ClientID: "telegraf", Meter: p.meter, Timeout: p.timeout().String(),
	}.TOML()
	path := filepath.Join(p.folder, "telegraf.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	return exec.Command(o.Telegraf, "--config", path), topic, nil //nolint:noctx // the caller ends it
}

// bareCommand runs this program as the bare client.
func bareCommand(_ Options, p place) (*exec.Cmd, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	return exec.Command(self, "bare", p.meter, p.broker, p.period.String()), bareTopic, nil //nolint:noctx // the caller ends it
}

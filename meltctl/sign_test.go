package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/remote"
	"meltwatch/agent/remote/pack"
)

// What a broker says was wanted before is not what the desk signs next.
func TestRollbackSignsNobodysWords(t *testing.T) {
	p := newPlant(t)
	key := filepath.Join(t.TempDir(), "desk.key")
	public, err := pack.NewKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p.agent("f1", p.sim.MeterURL(), "/nowhere", fmt.Sprintf(", trust: {config_keys: {desk: %q}}, remote: {signed_config: true}", public))
	p.until("a report", func() bool { return p.retained("test/f1", "config/reported") != "" })
	flags := changeFlags{
		brokerFlags: p.broker, stageFlags: stageFlags{Stages: "100%"}, keyFlags: keyFlags{Key: key, KeyName: "desk"}, Deadline: 20 * time.Second,
	}
	for _, patch := range []string{`{"state": {"hold_seconds": 21}}`, `{"state": {"hold_seconds": 22}}`} {
		if out, err := p.do(configSet{changeFlags: flags, Agents: "test/f1", Patch: p.patch(patch)}); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if out, err := p.do(configRollback{changeFlags: flags, Agents: "test/f1"}); err != nil {
		t.Fatalf("rollback: %v\n%s", err, out)
	}
	if diff := strings.Join(diff(json.RawMessage(`{"state": {"hold_seconds": 21}}`), p.desired().Config), "\n"); diff != "" {
		t.Errorf("rolled back to something else: %s", diff)
	}
	forged := p.desired()
	forged.Previous = json.RawMessage(`{"camera": {"url": "rtsp://192.0.2.66/mine"}}`)
	text, err := json.Marshal(forged)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.server.Publish(root+"test/f1/config/desired", text, true, 1); err != nil {
		t.Fatal(err)
	}
	if out, err := p.do(configRollback{changeFlags: flags, Agents: "test/f1"}); err == nil || !strings.Contains(err.Error(), "not signed by this key") {
		t.Errorf("%v\n%s", err, out)
	}
}

func (p *plant) desired() (d remote.Desired) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.retained("test/f1", "config/desired")), &d); err != nil {
		p.t.Fatal(err)
	}
	return d
}

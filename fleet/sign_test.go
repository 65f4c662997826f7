package fleet

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/modelpackage"
)

// What a broker says was wanted before is not what the desk signs next.
func TestRollbackSignsNobodysWords(t *testing.T) {
	p := newPlant(t)
	key := filepath.Join(t.TempDir(), "desk.key")
	public, err := modelpackage.NewKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p.agent("f1", p.sim.MeterURL(), "/nowhere", fmt.Sprintf(", trust: {config_keys: {desk: %q}}, remote: {signed_config: true}", public))
	p.until("a report", func() bool { return p.retained("test/f1", "config/reported") != "" })
	how := Change{Stages: Stages{Sizes: "100%"}, Signer: Signer{KeyFile: key, KeyName: "desk"}, Deadline: 20 * time.Second}
	for _, patch := range []string{`{"state": {"hold_seconds": 21}}`, `{"state": {"hold_seconds": 22}}`} {
		if out, err := p.set("test/f1", patch, how); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if out, err := p.rollBack("test/f1", how); err != nil {
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
	if err := p.server.Publish(rootOf("test/f1")+message.TopicConfigDesired, text, true, 1); err != nil {
		t.Fatal(err)
	}
	if out, err := p.rollBack("test/f1", how); err == nil || !strings.Contains(err.Error(), "not signed by this key") {
		t.Errorf("%v\n%s", err, out)
	}
}

func (p *plant) desired() (d message.ConfigDesired) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.retained("test/f1", "config/desired")), &d); err != nil {
		p.t.Fatal(err)
	}
	return d
}

package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/modelpackage"
)

// trusting returns a plant whose agent trusts the desk's key.
func trusting(t *testing.T, d desk) *plant {
	t.Helper()
	p := newPlant(t, working(), fmt.Sprintf(`, trust: {model_keys: {desk: %q}}, remote: {model_latency: 800ms}`, d.public))
	p.healthy()
	return p
}

// rolled waits for the final report on a package. Meanwhile it sends the requested
// chunks.
func (p *plant) rolled(revision int64, file string) message.ModelReport {
	p.t.Helper()
	for deadline := time.Now().Add(150 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		r := p.modelReport()
		if r.Revision == revision {
			switch r.Status {
			case "live", "rejected", "rolled_back":
				return r
			case "receiving":
				if r.Chunks > 0 { // a URL needs no chunks
					p.sendChunks(r, file)
				}
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("not settled; the last report is %+v", r)
		}
	}
}

func (p *plant) modelReport() (r message.ModelReport) {
	p.t.Helper()
	if text := p.payloadOn("model/reported"); text != nil {
		if err := json.Unmarshal(text, &r); err != nil {
			p.t.Fatal(err)
		}
	}
	return r
}

// sendChunks sends the requested chunks in reverse order.
func (p *plant) sendChunks(r message.ModelReport, file string) {
	p.t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	for n := min(r.Next+modelpackage.Ahead, r.Chunks) - 1; n >= r.Next; n-- {
		payload, err := modelpackage.Chunk(r.SHA256, body[n*modelpackage.ChunkSize:min((n+1)*modelpackage.ChunkSize, int64(len(body)))])
		if err != nil {
			p.t.Fatal(err)
		}
		if err := p.server.Publish(fmt.Sprintf("meltwatch/test/f1/model/chunk/%d", n), payload, false, 1); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *plant) wantModel(d message.ModelDesired) {
	p.t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.server.Publish("meltwatch/test/f1/model/desired", text, true, 1); err != nil {
		p.t.Fatal(err)
	}
}

// model is the name of the model that made the last state.
func (p *plant) model() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.states[len(p.states)-1].Model.Name
}

// onlyByModel checks that a model has decided every second since a time.
func (p *plant) onlyByModel(since time.Time) {
	p.t.Helper()
	if sources := p.sourcesSince(since); sources["rule"]+sources["none"] > 0 {
		p.t.Errorf("seconds without a model's verdict: %v", sources)
	}
}

// A good model arrives in chunks, shadows, decides, and stays. Then one that is still
// on disk returns. No second lacks a verdict.
func TestModelIsRolledOutWithoutAMissingVerdict(t *testing.T) {
	long(t)
	t.Parallel()
	d := newDesk(t)
	p := trusting(t, d)
	began := time.Now()
	file, signed := d.variant("better")
	p.wantModel(message.ModelDesired{Revision: 1, SignedPackage: signed, ShadowS: 20, WatchS: 10})
	r := p.rolled(1, file)
	if r.Status != "live" || r.Running != signed.SHA256 || r.Shadow == nil || r.Shadow.Seconds < 15 || r.Shadow.Agreement < 0.99 {
		t.Fatalf("report %+v, shadow %+v", r, r.Shadow)
	}
	t.Logf("shadow: %+v", *r.Shadow)
	p.within(5*time.Second, "the new model's name", func(mqttState) bool { return p.model() == "better" })

	// From a file; after a third model the first is deleted.
	third, signedThird := d.variant("third")
	p.wantModel(message.ModelDesired{Revision: 2, SignedPackage: signedThird, ShadowS: 5, WatchS: 5, URL: "file://" + third})
	if r := p.rolled(2, ""); r.Status != "live" || r.Running != signedThird.SHA256 {
		t.Fatalf("report %+v", r)
	}
	models, err := os.ReadDir(filepath.Join(p.agent.config.Load().Paths.State, "models"))
	if err != nil {
		t.Fatal(err)
	}
	folders := 0
	for _, m := range models {
		if m.IsDir() {
			folders++
		}
	}
	if folders != 2 {
		t.Errorf("%d models on disk: %v", folders, models)
	}
	// The last two models are on disk, so nothing is transferred.
	p.wantModel(message.ModelDesired{Revision: 3, SignedPackage: signed, ShadowS: 5, WatchS: 5})
	if r := p.rolled(3, ""); r.Status != "live" || r.Running != signed.SHA256 {
		t.Fatalf("report %+v", r)
	}
	// An empty payload requests the local model.
	if err := p.server.Publish("meltwatch/test/f1/model/desired", nil, true, 1); err != nil {
		t.Fatal(err)
	}
	p.unharmed(began)
	p.onlyByModel(began)
}

// No faulty model ever decides, and the old one misses no second.
func TestFaultyModelsNeverDecide(t *testing.T) {
	long(t)
	t.Parallel()
	d := newDesk(t)
	p := trusting(t, d)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.install("meltwatch-infer", self) // for candidates; the live child keeps running
	live := p.childPID("meltwatch-infer")
	revision := int64(0)
	p.unharmedWhile(func() {
		began := time.Now()
		for name, key := range map[string]string{
			"crashes at load": "load", "refuses to load": "load", "is slow": "latency",
			"crashes": "shadow", "sleeps": "shadow", "leaks": "shadow", "returns NaN": "shadow",
		} {
			revision++
			file, signed := d.variant(name)
			p.wantModel(message.ModelDesired{Revision: revision, SignedPackage: signed, ShadowS: 40, WatchS: 5, URL: "file://" + file})
			p.refused(revision, name, key)
		}
		for name, edits := range map[string][]string{
			"another window": {`"samples": 240`, `"samples": 120`},
			"another format": {`"format": 1`, `"format": 2`},
			"another hash":   {`"saved_model.pb": "`, `"saved_model.pb": "0000`},
			"no golden file": {`"golden.json": "`, `"gold.json": "`},
		} {
			revision++
			file, signed := d.variant(name, edits...)
			p.wantModel(message.ModelDesired{Revision: revision, SignedPackage: signed, ShadowS: 5, WatchS: 5, URL: "file://" + file})
			p.refused(revision, name, "package")
		}
		revision += p.badPackages(d, revision)
		p.onlyByModel(began)
	})
	if pid := p.childPID("meltwatch-infer"); pid != live {
		t.Errorf("the live child %d was replaced by %d", live, pid)
	}
	if name := p.model(); name != "product" {
		t.Errorf("%s decides", name)
	}
}

func (p *plant) refused(revision int64, name, key string) {
	p.t.Helper()
	r := p.rolled(revision, "")
	if r.Status != "rejected" || len(r.Errors) != 1 || r.Errors[0].Key != key || r.Errors[0].Message == "" || r.Running != "" {
		p.t.Errorf("%s: %+v, want rejected for %s", name, r, key)
		return
	}
	p.t.Logf("%s: %s", name, strings.SplitN(r.Errors[0].Message, "\n", 2)[0])
}

// badPackages tries packages with a bad signature or bad content, which must be
// rejected.
func (p *plant) badPackages(d desk, revision int64) (tried int64) {
	p.t.Helper()
	stranger := newDesk(p.t)
	file, signed := d.variant("good but for")
	damaged := filepath.Join(p.t.TempDir(), "damaged.tar")
	body, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	body[len(body)/2] ^= 1
	writeFile(p.t, damaged, string(body), 0o600)
	notTar := filepath.Join(p.t.TempDir(), "not.tar")
	writeFile(p.t, notTar, strings.Repeat("no tar ", 1000), 0o600)
	huge := signed
	huge.Size = 1 << 40
	huge.Sign("desk", d.private)
	for name, c := range map[string]struct {
		signed message.SignedPackage
		file   string
		key    string
	}{
		"unsigned":           {message.SignedPackage{SHA256: signed.SHA256, Size: signed.Size, Key: "desk"}, file, "signature"},
		"by a stranger":      {stranger.sign(file), file, "signature"},
		"by an unknown name": {message.SignedPackage{SHA256: signed.SHA256, Size: signed.Size, Key: "attic", Signature: signed.Signature}, file, "signature"},
		"too large":          {huge, file, "size"},
		"damaged":            {signed, damaged, "package"},
		"no tar":             {d.sign(notTar), notTar, "package"},
		"not there":          {d.sign(notTar), "/nowhere/model.tar", "url"},
	} {
		tried++
		p.wantModel(message.ModelDesired{Revision: revision + tried, SignedPackage: c.signed, ShadowS: 5, WatchS: 5, URL: "file://" + c.file})
		p.refused(revision+tried, name, c.key)
	}
	return tried
}

// A model that fails after the switch is rolled back at once, and the old one, which
// still runs, decides the next second.
func TestModelThatFailsAfterTheSwitchGoesBack(t *testing.T) {
	long(t)
	t.Parallel()
	d := newDesk(t)
	p := trusting(t, d)
	file, signed := d.variant("better")
	old := p.childPID("meltwatch-infer")
	began := time.Now()
	p.wantModel(message.ModelDesired{Revision: 1, SignedPackage: signed, ShadowS: 20, WatchS: 120, URL: "file://" + file})
	p.within(90*time.Second, "the new model decides", func(mqttState) bool { return p.model() == "better" })
	p.onlyByModel(began)
	killed := time.Now()
	if err := syscall.Kill(p.otherChild("meltwatch-infer", old), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r := p.rolled(1, "")
	if r.Status != "rolled_back" || r.Running != "" || r.Errors[0].Key != "watch" {
		t.Errorf("report %+v", r)
	}
	p.within(5*time.Second, "the old model decides", func(mqttState) bool { return p.model() == "product" })
	t.Logf("back after %s, sources since: %v", time.Since(killed).Round(time.Millisecond), p.sourcesSince(killed))
	if pause := p.longestSilence(killed); pause > 2*time.Second {
		t.Errorf("no state for %s", pause)
	}
	if sources := p.sourcesSince(killed); sources["none"] > 0 {
		t.Errorf("seconds without a verdict: %v", sources)
	}
	// It is not tried again at a reconnection.
	p.wantModel(message.ModelDesired{Revision: 1, SignedPackage: signed, ShadowS: 20, WatchS: 120, URL: "file://" + file})
	time.Sleep(2 * time.Second)
	if r := p.modelReport(); r.Status != "rolled_back" || r.Running != "" {
		t.Errorf("report %+v", r)
	}
}

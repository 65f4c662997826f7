package agent

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
)

// killed is an agent in a process that is killed repeatedly.
type killed struct {
	t       *testing.T
	plant   *plant // for its broker and its subscriber
	program string
	local   string
	cmd     *exec.Cmd
	log     strings.Builder
	// patches and packages by revision.
	patches map[int64]string
}

func (k *killed) start() {
	k.t.Helper()
	k.cmd = exec.Command(k.program, "run", "--config", k.plant.file)
	k.cmd.Stderr = &k.log
	if err := k.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
}

func (k *killed) kill() {
	k.t.Helper()
	if err := k.cmd.Process.Kill(); err != nil {
		k.t.Fatal(err)
	}
	_ = k.cmd.Wait() // the error is the kill
}

// awaitPayload waits for a payload on a topic that was published after a time.
func (k *killed) awaitPayload(topic string, after time.Time, into any, at func() time.Time) {
	k.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if text := k.plant.payloadOn(topic); text != nil {
			if err := json.Unmarshal(text, into); err != nil {
				k.t.Fatal(err)
			}
			if at().After(after) {
				return
			}
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("no %s after the start:\n%s", topic, k.log.String())
		}
	}
}

// checkReports compares the first reports of a process with the existing revisions.
func (k *killed) checkReports(after time.Time) (c message.ConfigReport, m message.ModelReport) {
	k.t.Helper()
	k.awaitPayload("config/reported", after, &c, func() time.Time { return c.Time })
	k.awaitPayload("model/reported", after, &m, func() time.Time { return m.Time })
	effective, err := config.Merged([]byte(k.local), []byte(k.patches[c.RunningRevision]))
	if err != nil || config.Digest(effective) != c.SHA256 {
		k.t.Fatalf("reported revision %d with sha256 %.12s…, want %.12s… (%v)", c.RunningRevision, c.SHA256, config.Digest(effective), err)
	}
	return c, m
}

// kills is the number of random kills in a test.
func kills(t *testing.T, few int) int {
	t.Helper()
	text := os.Getenv("MELTWATCH_KILLS")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("MELTWATCH_KILLS: %v", err)
	}
	return n
}

// Kills at random instants while configurations, good and bad, and models are rolled
// out. Each next process runs the old version or the new one and reports which. Without
// further kills the agent reaches the desired version.
func TestRandomKillsDuringRollOuts(t *testing.T) {
	long(t)
	d := newDesk(t)
	built := needPrograms(t)
	p := &plant{t: t, sim: startSim(t), file: filepath.Join(t.TempDir(), "meltwatch.yaml"), lastPayload: map[string][]byte{}}
	local := strings.TrimSuffix(document(t, p.sim, p.broker()), "}") +
		fmt.Sprintf(`, trust: {model_keys: {desk: %q}}, remote: {model_latency: 800ms}}`, d.public)
	writeFile(t, p.file, local, 0o600)
	k := &killed{t: t, plant: p, program: filepath.Join(built, "meltwatch"), local: local, patches: map[int64]string{}}
	packages := [2]string{}
	signed := [2]message.ModelDesired{}
	for i := range packages {
		packages[i], signed[i].SignedPackage = d.variant(fmt.Sprint("model ", i))
		signed[i].ShadowS, signed[i].WatchS, signed[i].URL = 5, 5, "file://"+packages[i]
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	n := kills(t, 5)
	states := map[string]int{}
	revision := int64(0)
	for range n {
		began := time.Now()
		k.start()
		k.checkReports(began)
		revision++
		k.patches[revision] = k.patch(random, revision)
		p.desire(fmt.Sprintf(`{"revision": %d, "deadline_s": 2, "config": %s}`, revision, k.patches[revision]))
		next := signed[revision%2]
		next.Revision = revision
		p.wantModel(next)
		time.Sleep(time.Duration(random.Int64N(int64(4 * time.Second))))
		k.kill()
		began = time.Now()
		k.start()
		c, m := k.checkReports(began)
		states[c.Status]++
		states["model "+m.Status]++
		time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second))))
		k.kill()
	}
	t.Logf("%d kills, first reports after them: %v", 2*n, states)

	// Without kills it reaches the desired versions, even if some were refused before.
	k.start()
	defer k.kill()
	revision++
	k.patches[revision] = `{"state": {"hold_seconds": 17}}`
	p.desire(fmt.Sprintf(`{"revision": %d, "deadline_s": 20, "config": %s}`, revision, k.patches[revision]))
	last := signed[1]
	last.Revision = revision
	p.wantModel(last)
	if r := p.rolled(revision, ""); r.Status != "live" || r.Running != last.SHA256 {
		t.Errorf("model: %+v\n%s", r, k.log.String())
	}
	// A model that ran before is live at once. The configuration of the last kill may
	// still be on trial first.
	var c message.ConfigReport
	for deadline := time.Now().Add(60 * time.Second); c.Status != "applied" || c.RunningRevision != revision; time.Sleep(50 * time.Millisecond) {
		if err := json.Unmarshal(p.payloadOn("config/reported"), &c); err != nil || time.Now().After(deadline) {
			t.Fatalf("configuration: %+v, %v\n%s", c, err, k.log.String())
		}
	}
	p.within(30*time.Second, "the desired model decides", func(mqttState) bool { return p.model() == "model 1" })
}

// patch returns a good change, or one to an unreachable camera.
func (k *killed) patch(random *rand.Rand, revision int64) string {
	if random.IntN(3) == 0 {
		return fmt.Sprintf(`{"camera": {"url": "rtsp://127.0.0.1:1/%d"}}`, revision)
	}
	return fmt.Sprintf(`{"state": {"hold_seconds": %d}}`, 11+revision%50)
}

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

// killed is an agent as a process that is killed again and again.
type killed struct {
	t       *testing.T
	plant   *plant // for its broker and its ears
	program string
	local   string
	cmd     *exec.Cmd
	log     strings.Builder
	// patches by revision, and packages by their own.
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
	_ = k.cmd.Wait() // killed: that is its error
}

// heard waits for a payload of a topic that was said after a moment.
func (k *killed) heard(topic string, after time.Time, into any, at func() time.Time) {
	k.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if text := k.plant.said1(topic); text != nil {
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

// honest holds the first reports of a process against the revisions that exist.
func (k *killed) honest(after time.Time) (c message.ConfigReport, m message.ModelReport) {
	k.t.Helper()
	k.heard("config/reported", after, &c, func() time.Time { return c.Time })
	k.heard("model/reported", after, &m, func() time.Time { return m.Time })
	effective, err := config.Merged([]byte(k.local), []byte(k.patches[c.RunningRevision]))
	if err != nil || config.Digest(effective) != c.SHA256 {
		k.t.Fatalf("the report says that revision %d runs, sha256 %.12s…; that revision has %.12s… (%v)", c.RunningRevision, c.SHA256, config.Digest(effective), err)
	}
	return c, m
}

// kills is how many random kills a test makes: a few, or as many as asked for.
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

// Kills at random instants while configurations, good and bad, and models are
// rolled out: every next process runs the one before or the new one and says
// which; once it is left alone it has what is wanted.
func TestRandomKillsDuringRollOuts(t *testing.T) {
	long(t)
	d := newDesk(t)
	built := needPrograms(t)
	p := &plant{t: t, sim: startSim(t), file: filepath.Join(t.TempDir(), "meltwatch.yaml"), said: map[string][]byte{}}
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
		k.honest(began)
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
		c, m := k.honest(began)
		states[c.Status]++
		states["model "+m.Status]++
		time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second))))
		k.kill()
	}
	t.Logf("%d kills, first words after them: %v", 2*n, states)

	// Left alone, it does what is wanted, whatever was given up on the way.
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
	// A model that ran already is live at once; the configuration of the last kill
	// may still have its trial before it.
	var c message.ConfigReport
	for deadline := time.Now().Add(60 * time.Second); c.Status != "applied" || c.RunningRevision != revision; time.Sleep(50 * time.Millisecond) {
		if err := json.Unmarshal(p.said1("config/reported"), &c); err != nil || time.Now().After(deadline) {
			t.Fatalf("configuration: %+v, %v\n%s", c, err, k.log.String())
		}
	}
	p.within(30*time.Second, "decides by the model that is wanted", func(mqttState) bool { return p.model() == "model 1" })
}

// patch is a good change, or a camera that is not there.
func (k *killed) patch(random *rand.Rand, revision int64) string {
	if random.IntN(3) == 0 {
		return fmt.Sprintf(`{"camera": {"url": "rtsp://127.0.0.1:1/%d"}}`, revision)
	}
	return fmt.Sprintf(`{"state": {"hold_seconds": %d}}`, 11+revision%50)
}

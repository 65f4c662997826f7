package remote

import (
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
)

// A kill or a power cut at every step: the next process runs the old configuration or
// the new one, reports which, and continues.
func TestKillAtEveryStep(t *testing.T) {
	for _, end := range []string{"kept", "rolled back", "edited file"} {
		for _, powerCut := range []bool{false, true} {
			step := 0
			for finished := false; !finished; {
				step++
				finished = killed(t, end, powerCut, step)
			}
			t.Logf("%s, power cut %v: killed at each of %d steps", end, powerCut, step-1)
			if step < 15 {
				t.Errorf("only %d steps: the test does not reach the change", step)
			}
		}
	}
}

// killed makes one change and dies at a step of it. It returns true if the change has
// fewer steps.
func killed(t *testing.T, end string, powerCut bool, step int) (finished bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newFakeAgent(t, notThirteen)
		b.start("boot")
		b.send(desired(1, meanSeconds(30)))
		b.sleep(2 * time.Minute)
		old := b.running
		b.steps, b.dieAt = 0, step
		wanted, revision := int64(40), int64(2)
		if end == "rolled back" {
			wanted = 13
		}
		if end == "edited file" {
			b.local = local[:len(local)-1] + ", log: {level: debug}}"
			b.manager.Reload()
			wanted, revision = 30, 1
		} else {
			b.manager.Desired(desired(2, meanSeconds(wanted)))
		}
		b.sleep(2 * time.Minute)
		finished = b.steps < step
		b.stop()
		kernel := "boot"
		if powerCut {
			kernel = "next boot"
			b.disk.PowerCut()
		}
		b.dieAt = -1
		b.start(kernel)
		isNew := func() bool { return config.Digest(b.running) != config.Digest(old) }
		r := b.last()
		if r.SHA256 != config.Digest(b.running) || (r.RunningRevision == 2) != (isNew() && revision == 2) {
			t.Fatalf("step %d: the first report after the start is %+v, new runs: %v", step, r, isNew())
		}
		// The broker sends the retained document again.
		if end != "edited file" {
			b.manager.Desired(desired(2, meanSeconds(wanted)))
		}
		b.sleep(3 * time.Minute)
		if end == "rolled back" {
			b.want(message.RolledBack, 2, 1)
		} else {
			b.want(message.Applied, revision, revision)
		}
		if isNew() != (end != "rolled back") {
			t.Errorf("step %d: new runs: %v", step, isNew())
		}
		b.stop()
	})
	return finished
}

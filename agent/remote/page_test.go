package remote

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
)

// propose proposes a change over what runs, as Li on the page.
func (a *fakeAgent) propose(change string) []message.Fault {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return a.manager.Propose(ctx, Proposal{By: "Li", Over: a.manager.View().SHA256, Change: json.RawMessage(change)})
}

func (a *fakeAgent) accepted(faults []message.Fault) {
	a.t.Helper()
	if len(faults) > 0 {
		a.t.Fatalf("refused: %v", faults)
	}
}

func refusedFor(t *testing.T, faults []message.Fault, key, text string) {
	t.Helper()
	if len(faults) == 0 || faults[0].Key != key || !strings.Contains(faults[0].Message, text) {
		t.Errorf("%+v, want %s: …%s…", faults, key, text)
	}
}

// A change from the page is kept if it is confirmed in time, over a restart too, and the
// document at the broker that it changed does not come back.
func TestChangeFromThePageIsKeptOnceConfirmed(t *testing.T) {
	bubble(t, always, func(b *fakeAgent) {
		b.send(desired(4, `{"state": {"mean_seconds": 30, "hold_seconds": 21}}`))
		b.accepted(b.propose(`{"state": {"mean_seconds": 31}}`))
		b.sleep(time.Second)
		b.want(message.Applying, 5, 5)
		if v := b.manager.View(); v.Trial == nil || v.Trial.Revision != 5 || v.Trial.By != "Li" || v.Trial.Left < 118*time.Second || v.Trial.Left > 2*time.Minute || b.running.State.MeanSeconds != 31 {
			t.Errorf("view %+v, mean_seconds %d runs", v.Trial, b.running.State.MeanSeconds)
		}
		refusedFor(t, b.manager.Confirm(4), "revision", "not on trial")
		b.accepted(b.manager.Confirm(5))
		b.sleep(time.Second)
		b.want(message.Applied, 5, 5)
		refusedFor(t, b.manager.Confirm(5), "revision", "not on trial")
		if v := b.manager.View(); v.Trial != nil || v.By != "Li" || v.From != "page" || v.Outcome.Status != message.Applied {
			t.Errorf("view %+v", v)
		}
		begins := b.begins
		for range 3 {
			b.send(desired(4, `{"state": {"mean_seconds": 30, "hold_seconds": 21}}`)) // the broker repeats it
			b.want(message.Applied, 5, 5)
			if r := b.last(); r.From != "page" || r.By != "Li" {
				t.Errorf("report %+v", r)
			}
			b.restart()
		}
		if b.running.State.MeanSeconds != 31 || b.running.State.HoldSeconds != 21 || b.begins != begins {
			t.Errorf("state %+v runs, %d changes", b.running.State, b.begins-begins)
		}
		// Another one from the page, over the first; then the desk's next document.
		b.accepted(b.propose(`{"state": {"hold_seconds": null}}`))
		b.accepted(b.manager.Confirm(6))
		b.sleep(time.Second)
		b.send(desired(4, `{"state": {"mean_seconds": 30, "hold_seconds": 21}}`))
		b.want(message.Applied, 6, 6)
		if b.running.State.MeanSeconds != 31 || b.running.State.HoldSeconds != 0 {
			t.Errorf("state %+v runs", b.running.State)
		}
		b.send(desired(6, meanSeconds(40)))
		refusedFor(t, b.last().Errors, "revision", "Li made on the box's page")
		b.send(desired(7, meanSeconds(40)))
		b.want(message.Applied, 7, 7)
	})
}

// Without a confirmation, or without progress, it is rolled back by itself; withdrawn, at once.
func TestChangeFromThePageIsRolledBackByItself(t *testing.T) {
	for name, c := range map[string]struct {
		change string
		act    func(*fakeAgent)
		after  time.Duration
		reason string
	}{
		"not confirmed":              {meanSeconds(31), func(*fakeAgent) {}, 121 * time.Second, "not confirmed on the page within 2m0s"},
		"does not work":              {meanSeconds(13), func(*fakeAgent) {}, 61 * time.Second, "scripted"},
		"confirmed, does not work":   {meanSeconds(13), func(b *fakeAgent) { b.accepted(b.manager.Confirm(5)) }, 61 * time.Second, "scripted"},
		"withdrawn":                  {meanSeconds(31), func(b *fakeAgent) { b.accepted(b.manager.Withdraw(5)) }, time.Second, "withdrawn"},
		"withdrawn, does not work":   {meanSeconds(13), func(b *fakeAgent) { b.accepted(b.manager.Withdraw(5)) }, time.Second, "withdrawn"},
		"the file alone, by nothing": {`{"state": null}`, func(*fakeAgent) {}, 121 * time.Second, "not confirmed"},
	} {
		bubble(t, notThirteen, func(b *fakeAgent) {
			b.send(desired(4, meanSeconds(30)))
			b.accepted(b.propose(c.change))
			c.act(b)
			b.sleep(c.after)
			b.want(message.RolledBack, 5, 4)
			if got := b.last().Errors; len(got) == 0 || !strings.Contains(got[0].Message+got[len(got)-1].Message, c.reason) || b.running.State.MeanSeconds != 30 {
				t.Errorf("%s: %+v, mean_seconds %d runs", name, got, b.running.State.MeanSeconds)
			}
			if v := b.manager.View(); v.Trial != nil || v.Outcome.Status != message.RolledBack || v.Outcome.Revision != 5 {
				t.Errorf("%s: view %+v", name, v)
			}
			if r := b.last(); r.From != "page" || r.By != "Li" {
				t.Errorf("%s: report %+v", name, r)
			}
			refusedFor(t, b.manager.Confirm(5), "revision", "not on trial")
			b.send(desired(4, meanSeconds(30)))
			b.want(message.Applied, 4, 4)
			// A person may ask for the same again.
			b.works = always
			b.accepted(b.propose(c.change))
			b.accepted(b.manager.Confirm(6))
			b.sleep(time.Second)
			b.want(message.Applied, 6, 6)
		})
	}
}

// What a document may not do, a change from the page may not do either, with the same
// reasons, and nothing is touched.
func TestChangeFromThePageIsRefusedAsADocumentIs(t *testing.T) {
	bubble(t, always, func(b *fakeAgent) {
		for change, want := range map[string][2]string{
			`{"web": {"listen": "0.0.0.0:80"}}`:                   {"web", "only in the box's own file"},
			`{"remote": {"signed_config": true}}`:                 {"remote", "only in the box's own file"},
			`{"trust": {"config_keys": {}}}`:                      {"trust", "only in the box's own file"},
			`{"commands": {"restart": true}}`:                     {"commands", "only in the box's own file"},
			`{"camera": {"password_file": "/etc/shadow"}}`:        {"camera.password_file", "a path may not be set remotely"},
			`{"site": "elsewhere"}`:                               {"site", "only in the box's own file"},
			`{"state": {"enter": 7}}`:                             {"state.enter", "out of bounds"},
			`{"camera": {"crpo": {"x": 1}}}`:                      {"camera.crpo", "unknown key"},
			`{}`:                                                  {"", "changes nothing"},
			`{"state": {"mean_seconds": 0}}`:                      {"", "changes nothing"},
			`[1]`:                                                 {"", "want a JSON object"},
			`{"a": `:                                              {"", ""},
			`{"state": {"exit": 0.1}, "state": {"enter": 0.9}}`:   {"state", ""},
			strings.Repeat(`{"a":`, 100) + strings.Repeat("}", 9): {"", ""},
		} {
			_, previewed := b.manager.Preview(json.RawMessage(change))
			for _, faults := range [][]message.Fault{previewed, b.propose(change)} {
				if len(faults) == 0 || want[1] != "" && (faults[0].Key != want[0] || !strings.Contains(faults[0].Message, want[1])) {
					t.Errorf("%.60s: %+v, want %v", change, faults, want)
				}
			}
		}
		differences, faults := b.manager.Preview(json.RawMessage(meanSeconds(31)))
		if len(faults) > 0 || len(differences) != 1 || differences[0] != (config.Difference{Key: "state.mean_seconds", Before: "0", After: "31"}) {
			t.Errorf("differences %+v, %+v", differences, faults)
		}
		stale := b.manager.View().SHA256
		b.send(desired(1, meanSeconds(30)))
		refusedFor(t, b.manager.Propose(context.Background(), Proposal{By: "Li", Over: stale, Change: json.RawMessage(meanSeconds(31))}), "", "has changed meanwhile")
		if b.begins != 1 || b.running.State.MeanSeconds != 30 {
			t.Errorf("%d changes", b.begins)
		}
		b.want(message.Applied, 1, 1)
	})
}

func TestPageIsToldThatTheFileForbidsChanges(t *testing.T) {
	desk := newSigner(t)
	for key, file := range map[string]string{
		"remote.config":        strings.TrimSuffix(local, "}") + ", remote: {config: false}}",
		"remote.signed_config": desk.trustingFile(),
	} {
		bubble(t, always, func(b *fakeAgent) {
			b.local = file
			b.restart()
			refusedFor(t, b.manager.View().Closed, key, "on this box")
			refusedFor(t, b.propose(meanSeconds(31)), key, "on this box")
			_, faults := b.manager.Preview(json.RawMessage(meanSeconds(31)))
			refusedFor(t, faults, key, "on this box")
		})
	}
	// A patch that was made on the page does not stay in force once documents must be signed.
	bubble(t, always, func(b *fakeAgent) {
		b.accepted(b.propose(meanSeconds(31)))
		b.accepted(b.manager.Confirm(1))
		b.sleep(2 * time.Minute)
		b.local = desk.trustingFile()
		b.restart()
		b.want(message.RolledBack, 1, 0)
		if b.running.State.MeanSeconds != 0 {
			t.Errorf("mean_seconds %d runs", b.running.State.MeanSeconds)
		}
	})
}

// Changes from the page, the desk and the file are tried one at a time; the others are
// refused with the reason, or wait.
func TestOneChangeAtATime(t *testing.T) {
	bubble(t, always, func(b *fakeAgent) {
		b.send(desired(4, meanSeconds(30)))
		b.accepted(b.propose(meanSeconds(31)))
		refusedFor(t, b.propose(meanSeconds(32)), "", "revision 5 from the page, by Li, is on trial")
		reports := len(b.reports)
		b.send(desired(4, meanSeconds(30))) // repeated at a connection
		if len(b.reports) != reports {
			t.Errorf("a repeated document is answered: %+v", b.last())
		}
		b.send(desired(9, meanSeconds(40)))
		if r := b.last(); r.Status != message.Rejected || r.Revision != 9 || r.RunningRevision != 5 || b.running.State.MeanSeconds != 31 {
			t.Errorf("%+v", r)
		}
		refusedFor(t, b.last().Errors, "", "Li made on the box's page is on trial")
		refusedFor(t, b.propose(meanSeconds(32)), "", "by Li, is on trial")
		b.send([]byte(`{"revision": `))
		if r := b.last(); r.Status != message.Rejected || strings.Contains(r.Errors[0].Message, "on trial") {
			t.Errorf("%+v", r)
		}
		for revision := range int64(40) { // a flood
			b.manager.Desired(desired(50+revision, meanSeconds(41)))
			b.manager.Desired([]byte(`{"revision": `))
			b.sleep(200 * time.Millisecond)
		}
		b.manager.Desired(desired(9, meanSeconds(40))) // of another publisher, or late
		b.sleep(time.Second)
		b.accepted(b.manager.Confirm(5))
		b.sleep(150 * time.Millisecond)
		if first := b.reports[len(b.reports)-17:]; !slices.ContainsFunc(first, func(r message.ConfigReport) bool { return r.Status == message.Applied && r.Revision == 5 }) {
			t.Errorf("the change is not reported as kept: %+v", first)
		}
		b.sleep(time.Second)
		b.want(message.Applied, 89, 89) // the newest is examined after it
		if b.running.State.MeanSeconds != 41 {
			t.Errorf("mean_seconds %d runs", b.running.State.MeanSeconds)
		}
		// A document that comes during a trial that is rolled back.
		b.accepted(b.propose(meanSeconds(31)))
		b.manager.Desired(desired(91, meanSeconds(40)))
		b.sleep(time.Second)
		b.accepted(b.manager.Withdraw(90))
		b.sleep(time.Second)
		b.want(message.Applied, 91, 91)
		// And while the desk's is on trial.
		b.works = func(config.Config) bool { return false }
		b.manager.Desired(desired(92, meanSeconds(41)))
		b.sleep(time.Second)
		refusedFor(t, b.propose(meanSeconds(32)), "", "revision 92 from the desk, is on trial")
		b.sleep(20 * time.Second)
		b.want(message.RolledBack, 92, 91)
		// Both at once: one is tried.
		b.works = always
		b.manager.Desired(desired(93, meanSeconds(42)))
		faults := b.propose(meanSeconds(33))
		b.sleep(time.Second)
		if one := b.running.State.MeanSeconds; one != 42 && len(faults) > 0 || one != 33 && len(faults) == 0 {
			t.Errorf("mean_seconds %d runs, %v", one, faults)
		}
	})
}

// An edit of the file on top of a change from the page needs no confirmation, and keeps it.
func TestEditOverAChangeFromThePage(t *testing.T) {
	bubble(t, always, func(b *fakeAgent) {
		b.accepted(b.propose(meanSeconds(31)))
		b.accepted(b.manager.Confirm(1))
		b.sleep(2 * time.Minute)
		for _, level := range []string{"debug", "warn"} {
			b.local = local[:len(local)-1] + ", log: {level: " + level + "}}"
			if level == "debug" {
				b.manager.Reload()
				b.sleep(2 * time.Second)
			} else {
				b.restart()
			}
			b.want(message.Applied, 1, 1)
			if b.running.State.MeanSeconds != 31 || b.running.Log.Level != level {
				t.Errorf("mean_seconds %d, level %s", b.running.State.MeanSeconds, b.running.Log.Level)
			}
		}
	})
}

// A kill or a power cut at every step of a change from the page: it is never kept unless it
// was confirmed, and what runs in the end is reported.
func TestKillAtEveryStepOfAChangeFromThePage(t *testing.T) {
	for _, confirmed := range []bool{true, false} {
		for step, finished := 1, false; !finished; step++ {
			synctest.Test(t, func(t *testing.T) {
				b := newFakeAgent(t, always)
				b.start("boot")
				b.send(desired(1, meanSeconds(30)))
				b.sleep(2 * time.Minute)
				b.steps, b.dieAt = 0, step
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				b.manager.Propose(ctx, Proposal{By: "Li", Over: b.manager.View().SHA256, Change: json.RawMessage(meanSeconds(31))})
				if confirmed {
					b.manager.Confirm(2)
				}
				b.sleep(4 * time.Minute)
				finished = b.steps < step
				b.stop()
				b.dieAt = -1
				b.start("boot")
				b.manager.Desired(desired(1, meanSeconds(30)))
				b.sleep(4 * time.Minute)
				r, is := b.last(), b.running.State.MeanSeconds
				if r.SHA256 != config.Digest(b.running) || (r.RunningRevision == 2) != (is == 31) || is != 30 && is != 31 {
					t.Errorf("step %d: %+v, mean_seconds %d", step, r, is)
				}
				if !confirmed && is != 30 || confirmed && finished && is != 31 {
					t.Errorf("step %d, confirmed %v: mean_seconds %d", step, confirmed, is)
				}
				b.stop()
			})
			if step > 100 {
				t.Fatal("the change does not end")
			}
		}
	}
}

package remote

import (
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/commit"
	"meltwatch/config"
)

// A document that was rolled back is not tried again when the broker repeats it, although a
// change from the page was refused since.
func TestRefusedDocumentStaysRefusedAfterAChangeFromThePage(t *testing.T) {
	bubble(t, notThirteen, func(b *fakeAgent) {
		b.send(desired(4, meanSeconds(30)))
		b.send(desired(7, meanSeconds(13)))
		b.want(message.RolledBack, 7, 4)
		b.builds = func(c config.Config) bool { return c.State.MeanSeconds != 31 }
		refusedFor(t, b.propose(meanSeconds(31)), "model.path", "not built")
		b.want(message.Rejected, 8, 4)
		begins := b.begins
		for range 2 {
			b.send(desired(7, meanSeconds(13))) // the broker repeats it
			b.want(message.RolledBack, 7, 4)
			b.restart()
		}
		if b.begins != begins {
			t.Errorf("tried %d times again", b.begins-begins)
		}
		b.accepted(b.propose(meanSeconds(32))) // its revision is above both
		b.accepted(b.manager.Confirm(9))
		b.sleep(time.Second)
		b.want(message.Applied, 9, 9)
	})
}

// A change from the page that nobody has confirmed is not kept because the file was edited
// while the agent was off, also where the edit has no trial: the file's trial is one of the
// file alone.
func TestEditDuringATrialFromThePageConfirmsNothing(t *testing.T) {
	for name, edited := range map[string]string{
		"another setting": local[:len(local)-1] + ", log: {level: debug}}",
		"the identity":    "{site: elsewhere," + local[len("{site: plant,"):],
	} {
		bubble(t, always, func(b *fakeAgent) {
			b.send(desired(4, `{"state": {"hold_seconds": 21}}`))
			b.sleep(2 * time.Minute)
			b.accepted(b.propose(meanSeconds(31)))
			b.sleep(time.Second)
			if b.running.State.MeanSeconds != 31 {
				t.Fatal("not on trial")
			}
			b.local = edited
			b.restart()
			b.want(message.Applied, 4, 4)
			if s := b.running.State; s.MeanSeconds != 0 || s.HoldSeconds != 21 {
				t.Errorf("%s: mean_seconds %d, hold_seconds %d run without a confirmation", name, s.MeanSeconds, s.HoldSeconds)
			}
			b.send(desired(4, `{"state": {"hold_seconds": 21}}`))
			b.want(message.Applied, 4, 4)
			b.local = local
			b.restart()
			b.want(message.Applied, 4, 4)
			if s := b.running.State; s.MeanSeconds != 0 {
				t.Errorf("%s: mean_seconds %d runs after the edit is undone", name, s.MeanSeconds)
			}
		})
	}
}

// A file that is read again during a trial from the page is put on trial after it, and who
// waits for the result waits long enough.
func TestReloadDuringATrialFromThePage(t *testing.T) {
	// reloadAfter returns what is on the disk a while after the reload.
	reloadAfter := func(t *testing.T, b *fakeAgent, while time.Duration) Reloaded {
		b.send(desired(4, meanSeconds(30)))
		b.works = func(c config.Config) bool { return c.Log.Level != "debug" }
		b.accepted(b.propose(`{"state": {"hold_seconds": 21}}`))
		b.local = local[:len(local)-1] + ", log: {level: debug}}"
		b.manager.Reload()
		b.sleep(while)
		last, err := LastReload(b.disk)
		if err != nil {
			t.Fatal(err)
		}
		return last
	}
	deadline := config.Default().Remote.Deadline
	bubble(t, notThirteen, func(b *fakeAgent) {
		if r := reloadAfter(t, b, deadline+30*time.Second); r.File != "" || b.running.State.HoldSeconds != 21 {
			t.Errorf("read before the trial has ended: %+v", r)
		}
	})
	bubble(t, notThirteen, func(b *fakeAgent) {
		if r := reloadAfter(t, b, ReloadTakes(deadline)); r.File != FileSum([]byte(b.local)) || r.Report.Status != message.RolledBack {
			t.Errorf("no result of the file: %+v", r)
		}
	})
}

// Of a reset and a newer document that come during a trial from the page, the newer one counts.
func TestNewestDocumentCountsAfterATrialFromThePage(t *testing.T) {
	bubble(t, always, func(b *fakeAgent) {
		b.send(desired(4, meanSeconds(30)))
		b.accepted(b.propose(meanSeconds(31)))
		b.manager.Desired(nil)
		b.sleep(time.Second)
		b.disk.Step = func() { // the journal is written at the end of the trial
			b.disk.Step = b.step
			b.manager.Desired(desired(6, meanSeconds(40)))
		}
		b.accepted(b.manager.Confirm(5))
		b.sleep(10 * time.Second)
		b.want(message.Applied, 6, 6)
	})
}

// A change from the page under which the agent dies again and again is rolled back, the page
// says so, and a document that was refused before stays refused.
func TestDeathsUnderAChangeFromThePage(t *testing.T) {
	bubble(t, notThirteen, func(b *fakeAgent) {
		b.send(desired(4, meanSeconds(30)))
		b.send(desired(7, meanSeconds(13)))
		b.accepted(b.propose(meanSeconds(31)))
		b.sleep(time.Second)
		b.stop()
		for range commit.Deaths { // processes that start and die
			journal, err := commit.Open[storedVersion](b.disk, journalFile, "boot")
			if err != nil {
				t.Fatal(err)
			}
			journal.Kind = kindOf
			if died, err := journal.Started(); died || err != nil {
				t.Fatalf("died %t, %v", died, err)
			}
		}
		b.start("boot")
		b.want(message.RolledBack, 8, 4)
		if r := b.last(); r.From != "page" || r.By != "Li" {
			t.Errorf("report %+v", r)
		}
		if v := b.manager.View(); v.Outcome.Revision != 8 || v.Outcome.Status != message.RolledBack || len(v.Outcome.Errors) == 0 {
			t.Errorf("outcome %+v", v.Outcome)
		}
		begins := b.begins
		b.send(desired(7, meanSeconds(13)))
		b.want(message.RolledBack, 7, 4)
		if b.begins != begins {
			t.Error("the refused document is tried again")
		}
	})
}

// A document and an edit of the file that were rolled back are both not tried again, in
// whatever order they came.
func TestRefusedDocumentAndRefusedEditStayRefused(t *testing.T) {
	edited := local[:len(local)-1] + ", log: {level: debug}}"
	for _, first := range []string{"document", "edit"} {
		bubble(t, func(c config.Config) bool { return notThirteen(c) && c.Log.Level != "debug" }, func(b *fakeAgent) {
			b.send(desired(4, meanSeconds(30)))
			b.sleep(2 * time.Minute)
			steps := []func(){
				func() { b.send(desired(7, meanSeconds(13))); b.want(message.RolledBack, 7, 4) },
				func() {
					b.local = edited
					b.manager.Reload()
					b.sleep(2 * time.Minute)
					b.want(message.RolledBack, 4, 4)
				},
			}
			if first == "edit" {
				steps[0], steps[1] = steps[1], steps[0]
			}
			steps[0]()
			steps[1]()
			begins := b.begins
			for range 2 {
				b.send(desired(7, meanSeconds(13))) // the broker repeats it
				b.want(message.RolledBack, 7, 4)
				b.restart()
				b.want(message.RolledBack, 4, 4) // the file stays out
			}
			if b.begins != begins {
				t.Errorf("%s first: tried %d times again", first, b.begins-begins)
			}
		})
	}
}

package remote

import (
	"testing"
	"time"

	"meltwatch/agent/message"
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

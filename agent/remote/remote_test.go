package remote

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
)

// bubble runs a script with a fake agent in virtual time.
func bubble(t *testing.T, works func(config.Config) bool, script func(*fakeAgent)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newFakeAgent(t, works)
		b.start("boot")
		script(b)
		b.stop()
	})
}

// send publishes a payload and waits for the result.
func (a *fakeAgent) send(payload []byte) {
	a.manager.Desired(payload)
	a.sleep(20 * time.Second)
}

func TestGoodChangeIsKeptAndABadOneUndone(t *testing.T) {
	bubble(t, notThirteen, func(b *fakeAgent) {
		b.want(message.Applied, 0, 0)
		b.send(desired(1, meanSeconds(30)))
		b.want(message.Applied, 1, 1)
		b.send(desired(2, meanSeconds(13)))
		b.want(message.RolledBack, 2, 1)
		if b.running.State.MeanSeconds != 30 {
			t.Errorf("mean_seconds %d runs", b.running.State.MeanSeconds)
		}
		if e := b.last().Errors; len(e) != 1 || e[0].Key != "camera" {
			t.Errorf("errors %+v", e)
		}
	})
}

func TestRefusedDocumentIsNotTriedAgainUntilItChanges(t *testing.T) {
	bubble(t, notThirteen, func(b *fakeAgent) {
		b.send(desired(1, meanSeconds(13)))
		begins := b.begins
		for range 10 { // reconnections
			b.send(desired(1, meanSeconds(13)))
			b.want(message.RolledBack, 1, 0)
		}
		b.stop()
		b.start("boot") // nor after a restart
		b.send(desired(1, meanSeconds(13)))
		b.want(message.RolledBack, 1, 0)
		if b.begins != begins {
			t.Errorf("tried %d times more", b.begins-begins)
		}
		b.send(desired(1, meanSeconds(14)))
		b.want(message.Applied, 1, 1)
	})
}

func TestAgentThatWasAwayForFiveRevisionsAppliesTheLast(t *testing.T) {
	bubble(t, always, func(b *fakeAgent) {
		b.send(desired(1, meanSeconds(31)))
		b.stop()
		b.start("boot")
		b.send(desired(6, meanSeconds(36))) // a retained topic holds the newest only
		b.want(message.Applied, 6, 6)
		if b.begins != 2 || b.running.State.MeanSeconds != 36 {
			t.Errorf("%d changes, mean_seconds %d", b.begins, b.running.State.MeanSeconds)
		}
	})
}

func TestSameDocumentAtReconnectionTouchesNothing(t *testing.T) {
	bubble(t, always, func(b *fakeAgent) {
		b.send(desired(4, meanSeconds(30)))
		begins, steps := b.begins, len(b.reports)
		for range 10 {
			b.send(desired(4, meanSeconds(30)))
		}
		if b.begins != begins || len(b.reports) != steps+10 {
			t.Errorf("%d changes, %d reports more", b.begins-begins, len(b.reports)-steps)
		}
		b.want(message.Applied, 4, 4)
	})
}

func TestEmptyPayloadIsTheLocalFileAlone(t *testing.T) {
	bubble(t, always, func(b *fakeAgent) {
		b.send(desired(7, meanSeconds(30)))
		b.send(nil)
		b.want(message.Applied, 0, 0)
		if b.running.State.MeanSeconds != 0 {
			t.Errorf("mean_seconds %d runs", b.running.State.MeanSeconds)
		}
	})
}

func TestOlderRevisionsAreRefused(t *testing.T) {
	bubble(t, always, func(b *fakeAgent) {
		b.send(desired(7, meanSeconds(30)))
		for _, payload := range [][]byte{desired(6, meanSeconds(31)), desired(7, meanSeconds(31))} {
			b.send(payload)
			if r := b.last(); r.Status != message.Rejected || r.RunningRevision != 7 || r.Errors[0].Key != "revision" {
				t.Errorf("report %+v", r)
			}
		}
	})
}

func TestLocalFileIsHandledLikeADocument(t *testing.T) {
	bubble(t, notThirteen, func(b *fakeAgent) {
		b.send(desired(1, `{"state": {"hold_seconds": 20}}`))
		reload := func(text string) {
			b.local = text
			b.manager.Reload()
			b.sleep(2 * time.Minute)
		}
		reload(local[:len(local)-1] + ", state: {mean_seconds: 40}}")
		b.want(message.Applied, 1, 1)
		if s := b.running.State; s.MeanSeconds != 40 || s.HoldSeconds != 20 {
			t.Errorf("state %+v", s)
		}
		reload(local[:len(local)-1] + ", state: {mean_seconds: 13}}")
		b.want(message.RolledBack, 1, 1)
		reload("{")
		b.want(message.Rejected, 1, 1)
		reload(strings.Replace(local, "plant", "other", 1))
		if r := b.last(); r.Status != message.Rejected || r.Errors[0].Key != "site" || r.From != fromFile {
			t.Errorf("report %+v", r)
		}
	})
}

// An edit that was rolled back is not applied at the next start, although the file
// still holds it. An edit made while the agent was off is tried.
func TestEditedFileAtStart(t *testing.T) {
	bubble(t, notThirteen, func(b *fakeAgent) {
		b.send(desired(1, meanSeconds(30)))
		b.sleep(time.Minute)
		b.local = local[:len(local)-1] + ", log: {level: debug}}"
		b.stop()
		b.start("boot")
		b.sleep(2 * time.Minute)
		b.want(message.Applied, 1, 1)
		if b.running.Log.Level != "debug" {
			t.Error("the edit is not in force")
		}
		b.works = func(c config.Config) bool { return c.Log.Level != "error" }
		b.local = local[:len(local)-1] + ", log: {level: error}}"
		for range 2 {
			b.stop()
			b.start("boot")
			b.sleep(2 * time.Minute)
			b.want(message.RolledBack, 1, 1)
			if b.running.Log.Level != "debug" {
				t.Error("the edit that does not work is in force")
			}
		}
	})
}

func TestThirdDeathRollsBackWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeAgent(t, always)
		b.start("boot")
		b.send(desired(1, meanSeconds(30)))
		b.want(message.Applied, 1, 1)
		for death := 1; death <= 3; death++ {
			// A death is an end that the journal does not record.
			files := b.disk.Snapshot()
			b.stop()
			b.disk.PutBack(files)
			b.start("boot")
			b.sleep(time.Second)
			if death < 3 {
				b.want(message.Applied, 1, 1)
			}
		}
		b.want(message.RolledBack, 1, 0)
		b.stop()
	})
}

func TestSignatures(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		b := newFakeAgent(t, always)
		b.local = local[:len(local)-1] + fmt.Sprintf(", remote: {signed_config: true}, trust: {config_keys: {desk: %q}}}",
			base64.StdEncoding.EncodeToString(public))
		b.start("boot")
		signed := func(change func(*message.ConfigDesired)) []byte {
			d := message.ConfigDesired{Revision: 3, Config: json.RawMessage(meanSeconds(30)), DeadlineS: 10}
			if err := d.Sign("meltwatch/plant/f1/", "desk", private); err != nil {
				t.Fatal(err)
			}
			change(&d)
			text, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		resign := func(root string, key ed25519.PrivateKey) func(*message.ConfigDesired) {
			return func(d *message.ConfigDesired) {
				if err := d.Sign(root, "desk", key); err != nil {
					t.Fatal(err)
				}
			}
		}
		for name, c := range map[string]struct {
			payload []byte
			key     string
		}{
			"unsigned":            {signed(func(d *message.ConfigDesired) { d.Signature = "" }), "signature"},
			"empty":               {nil, "signature"},
			"not base64":          {signed(func(d *message.ConfigDesired) { d.Signature = "§" }), "signature"},
			"by a stranger":       {signed(resign("meltwatch/plant/f1/", stranger)), "signature"},
			"for another furnace": {signed(resign("meltwatch/plant/f2/", private)), "signature"},
			"another revision":    {signed(func(d *message.ConfigDesired) { d.Revision = 4 }), "signature"},
			"another deadline":    {signed(func(d *message.ConfigDesired) { d.DeadlineS = 11 }), "signature"},
			"another previous":    {signed(func(d *message.ConfigDesired) { d.Previous = json.RawMessage("{}") }), "signature"},
			"another config":      {signed(func(d *message.ConfigDesired) { d.Config = json.RawMessage(meanSeconds(31)) }), "signature"},
			"an unknown key":      {signed(func(d *message.ConfigDesired) { d.Key = "attic" }), "key"},
		} {
			b.send(c.payload)
			if r := b.last(); r.Status != message.Rejected || len(r.Errors) != 1 || r.Errors[0].Key != c.key {
				t.Errorf("%s: %+v", name, r)
			}
		}
		b.send(signed(func(d *message.ConfigDesired) { d.Config = json.RawMessage("{\"state\" :\n{\"mean_seconds\": 30}}") }))
		b.want(message.Applied, 3, 3)
		b.stop()
	})
}

func TestDisabledBoxIgnoresDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeAgent(t, always)
		b.local = local[:len(local)-1] + ", remote: {config: false}}"
		b.start("boot")
		b.send(desired(1, meanSeconds(30)))
		if r := b.last(); r.Status != message.Rejected || r.Errors[0].Key != "remote.config" || b.begins != 0 {
			t.Errorf("report %+v", r)
		}
		b.stop()
	})
}

// FuzzDesired checks that no payload panics, hangs, or is accepted without a revision
// and a configuration.
func FuzzDesired(f *testing.F) {
	f.Add(desired(1, meanSeconds(30)))
	f.Add([]byte(`{"revision": -1, "config": {}, "deadline_s": 1e99}`))
	f.Add([]byte(`{"revision": 1, "config": [[[[`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		d, faults := message.ParseConfigDesired(payload)
		if len(faults) == 0 && (d.Revision < 1 || len(d.Config) == 0 || d.DeadlineS < 0 || d.DeadlineS > message.MostDeadline) {
			t.Errorf("accepted %+v", d)
		}
		d.Verify("root", map[string]string{}, true)
		v := Version{d.Revision, []byte(local), d.Config}
		if _, err := v.config(); err != nil && len(faultsOf(err)) == 0 {
			t.Errorf("refused without a fault: %v", err)
		}
	})
}

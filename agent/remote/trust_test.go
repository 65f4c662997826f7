package remote

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
	"meltwatch/config/strict/stricttest"
	"meltwatch/retry"
)

const furnaceRoot = "meltwatch/plant/f1/"

type signer struct {
	t       *testing.T
	private ed25519.PrivateKey
	public  string
}

func newSigner(t *testing.T) signer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return signer{t, private, base64.StdEncoding.EncodeToString(public)}
}

func (s signer) desired(revision int64, patch string) []byte {
	s.t.Helper()
	d := message.ConfigDesired{Revision: revision, Config: json.RawMessage(patch), DeadlineS: 10}
	if err := d.Sign(furnaceRoot, "desk", s.private); err != nil {
		s.t.Fatal(err)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // it would change what was signed
	if err := encoder.Encode(d); err != nil {
		s.t.Fatal(err)
	}
	return text.Bytes()
}

// trustingFile returns the local file of a box that requires signatures of this key.
func (s signer) trustingFile() string {
	return strings.TrimSuffix(local, "}") + fmt.Sprintf(", remote: {signed_config: true}, trust: {config_keys: {desk: %q}}}", s.public)
}

// restart ends the process and starts the next one.
func (a *fakeAgent) restart() {
	a.t.Helper()
	a.stop()
	a.start("boot")
	a.sleep(2 * time.Minute)
}

// A patch that was accepted unsigned does not stay in force once documents must be
// signed. A patch signed by a key that is still trusted does.
func TestPatchThatIsTrustedNoLongerIsDropped(t *testing.T) {
	desk, other := newSigner(t), newSigner(t)
	for name, c := range map[string]struct {
		payload []byte
		edited  string
		stays   bool
	}{
		"unsigned":                {desired(12, meanSeconds(30)), desk.trustingFile(), false},
		"signed by this key":      {desk.desired(12, meanSeconds(30)), desk.trustingFile(), true},
		"spaces in it":            {desk.desired(12, "{\"state\" :\n {\"mean_seconds\": 30}, \"mqtt\": {\"username\": \"<&>\"}}"), desk.trustingFile(), true},
		"signed by another":       {other.desired(12, meanSeconds(30)), desk.trustingFile(), false},
		"signatures not required": {desired(12, meanSeconds(30)), strings.TrimSuffix(local, "}") + ", log: {level: debug}}", true},
		"edited, not about trust": {desk.desired(12, meanSeconds(30)), strings.TrimSuffix(desk.trustingFile(), "}") + ", log: {level: debug}}", true},
	} {
		for _, how := range []string{"restart", "reload", "reload within the minute"} {
			bubble(t, always, func(b *fakeAgent) {
				if name == "signed by another" {
					b.local = strings.TrimSuffix(local, "}") + fmt.Sprintf(", trust: {config_keys: {desk: %q}}}", other.public)
					b.restart()
				} else if c.stays && name != "signatures not required" {
					b.local = strings.TrimSuffix(local, "}") + fmt.Sprintf(", trust: {config_keys: {desk: %q}}}", desk.public)
					b.restart()
				}
				b.send(c.payload)
				b.want(message.Applied, 12, 12)
				if how != "reload within the minute" {
					b.sleep(2 * time.Minute)
				}
				b.local = c.edited
				if how == "restart" {
					b.restart()
				} else {
					b.manager.Reload()
					b.sleep(2 * time.Minute)
				}
				if c.stays {
					b.want(message.Applied, 12, 12)
					return
				}
				b.want(message.RolledBack, 12, 0)
				if r := b.last(); b.running.State.MeanSeconds != 0 || len(r.Errors) == 0 || r.Errors[0].Key != "signature" {
					t.Errorf("%s, %s: mean_seconds %d runs, report %+v", name, how, b.running.State.MeanSeconds, r)
				}
				// The broker still retains it; a restart does not change the result.
				b.send(c.payload)
				b.restart()
				if b.running.State.MeanSeconds != 0 || b.last().RunningRevision != 0 {
					t.Errorf("%s, %s: back after a restart: %+v", name, how, b.last())
				}
				b.send(desk.desired(13, meanSeconds(31)))
				b.want(message.Applied, 13, 13)
			})
		}
	}
}

// An edit that requires signatures and does not work is rolled back like any other, and
// the patch stays in force.
func TestEditThatTrustsNoLongerAndDoesNotWorkStaysOut(t *testing.T) {
	desk := newSigner(t)
	for _, reload := range []bool{true, false} {
		bubble(t, notThirteen, func(b *fakeAgent) {
			b.send(desired(12, meanSeconds(30)))
			b.sleep(2 * time.Minute)
			b.local = strings.TrimSuffix(desk.trustingFile(), "}") + ", state: {mean_seconds: 13}}"
			if !reload {
				b.local = strings.TrimSuffix(local, "}") + ", state: {hold_seconds: 21}}"
				b.works = func(c config.Config) bool { return c.State.HoldSeconds != 21 }
				b.restart()
			} else {
				b.manager.Reload()
				b.sleep(2 * time.Minute)
			}
			for range 3 {
				if r := b.last(); r.Status != message.RolledBack || r.RunningRevision != 12 || b.running.State.MeanSeconds != 30 {
					t.Fatalf("reload %v: %+v, mean_seconds %d", reload, r, b.running.State.MeanSeconds)
				}
				b.restart()
			}
		})
	}
}

// A document that is published again with a signature counts as signed from then on.
func TestSignatureThatComesLaterCounts(t *testing.T) {
	desk := newSigner(t)
	bubble(t, always, func(b *fakeAgent) {
		b.local = strings.TrimSuffix(local, "}") + fmt.Sprintf(", trust: {config_keys: {desk: %q}}}", desk.public)
		b.restart()
		b.send(desired(12, meanSeconds(30)))
		b.sleep(2 * time.Minute)
		b.send(desk.desired(12, meanSeconds(30)))
		b.local = desk.trustingFile()
		b.restart()
		b.want(message.Applied, 12, 12)
	})
}

// After an unsigned document, older signed ones are still refused.
func TestOldSignedDocumentIsNotReplayedAfterAnUnsignedOne(t *testing.T) {
	desk := newSigner(t)
	bubble(t, always, func(b *fakeAgent) {
		b.local = strings.TrimSuffix(local, "}") + fmt.Sprintf(", trust: {config_keys: {desk: %q}}}", desk.public)
		b.restart()
		b.send(desk.desired(5, meanSeconds(35)))
		b.send(desired(12, meanSeconds(42)))
		b.want(message.Applied, 12, 12)
		b.local = desk.trustingFile()
		b.restart()
		b.want(message.RolledBack, 12, 0)
		b.restart()
		for _, old := range []int64{4, 5} {
			b.send(desk.desired(old, meanSeconds(30+old)))
			if r := b.last(); r.Status != message.Rejected || r.RunningRevision != 0 {
				t.Errorf("revision %d is back: %+v", old, r)
			}
		}
		b.send(desk.desired(6, meanSeconds(36)))
		b.want(message.Applied, 6, 6)
	})
}

// A journal of release 0.3.0 has no signature: its patch runs until a signed document
// arrives, for ten minutes at most.
func TestJournalOf030IsReadAndVerifiedAgain(t *testing.T) {
	desk := newSigner(t)
	for _, proven := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := newFakeAgent(t, always)
			b.local = desk.trustingFile()
			old, err := json.Marshal(map[string]any{"good": map[string]any{
				"revision": 12, "local": []byte(b.local), "patch": json.RawMessage(meanSeconds(30)),
			}})
			if err != nil {
				t.Fatal(err)
			}
			b.disk.Put(journalFile, old)
			b.start("boot")
			b.sleep(5 * time.Minute)
			b.want(message.Applied, 12, 12)
			if b.running.State.MeanSeconds != 30 {
				t.Fatal("the patch of 0.3.0 does not run")
			}
			if proven {
				b.send(desk.desired(12, meanSeconds(30)))
			} else {
				b.send(desired(12, meanSeconds(30))) // unsigned: it proves nothing
			}
			b.sleep(10 * time.Minute)
			if proven {
				b.want(message.Applied, 12, 12)
				b.restart()
				b.sleep(20 * time.Minute)
				b.want(message.Applied, 12, 12)
			} else {
				b.want(message.RolledBack, 12, 0)
			}
			b.stop()
		})
	}
}

// A document with the highest revision must not block later ones.
func TestHugeRevisionsDoNotBlockLaterOnes(t *testing.T) {
	bubble(t, always, func(b *fakeAgent) {
		b.send(desired(1, meanSeconds(30)))
		for _, huge := range []int64{math.MaxInt64, math.MaxInt64 - 1, 1 << 53, 1<<53 - 1, 1<<32 + 2} {
			b.send(desired(huge, meanSeconds(31)))
			if r := b.last(); r.Status != message.Rejected || r.RunningRevision != 1 || r.Errors[0].Key != "revision" {
				t.Errorf("revision %d: %+v", huge, r)
			}
		}
		b.send(desired(1_800_000_000, meanSeconds(32))) // seconds since 1970 are valid
		b.want(message.Applied, 1_800_000_000, 1_800_000_000)
	})
	// A box with such a revision from 0.3.0 accepts the next one.
	bubble(t, always, func(b *fakeAgent) {
		old, err := json.Marshal(map[string]any{"good": Version{math.MaxInt64, []byte(b.local), json.RawMessage(meanSeconds(30))}})
		if err != nil {
			t.Fatal(err)
		}
		b.stop()
		b.disk.Put(journalFile, old)
		b.start("boot")
		b.want(message.Applied, math.MaxInt64, math.MaxInt64)
		b.send(desired(math.MaxInt64, meanSeconds(30)))
		b.want(message.Applied, math.MaxInt64, math.MaxInt64)
		b.send(desired(13, meanSeconds(31)))
		b.want(message.Applied, 13, 13)
	})
}

// Of the documents that arrive while a change is on trial, the newest runs in the end,
// in any order of arrival.
func TestNewestOfManyWins(t *testing.T) {
	for _, order := range [][]int64{{2, 3, 4}, {4, 3, 2}, {3, 4, 2}, {4, 2, 4}, {2, 4, 3, 3}, {2, 2, 4, 1}} {
		bubble(t, always, func(b *fakeAgent) {
			tries := 0
			b.works = func(c config.Config) bool { tries++; return tries > 20 } // on trial for two seconds
			b.manager.Desired(desired(1, meanSeconds(41)))
			b.sleep(time.Second)
			for _, revision := range order {
				b.manager.Desired(desired(revision, meanSeconds(40+revision)))
			}
			b.manager.Desired([]byte(`{"revision": 99`))
			b.sleep(20 * time.Second)
			b.want(message.Applied, 4, 4)
			if b.running.State.MeanSeconds != 44 {
				t.Errorf("%v: mean_seconds %d runs", order, b.running.State.MeanSeconds)
			}
		})
	}
	bubble(t, always, func(b *fakeAgent) {
		b.works = func(config.Config) bool { return true }
		for revision := range int64(200) {
			b.manager.Desired(desired(revision+1, meanSeconds(1+revision%100)))
		}
		b.sleep(time.Second)
		b.want(message.Applied, 200, 200)
	})
}

// A document has the same key before and after a restart, with any spaces.
func TestDocumentWithSpacesIsKnownAfterARestart(t *testing.T) {
	bubble(t, always, func(b *fakeAgent) {
		payload := []byte("{\"revision\": 7, \"config\": {\"state\" :\n{\"mean_seconds\": 30}, \"mqtt\": {\"username\": \"<&>\"}}}")
		b.send(payload)
		b.want(message.Applied, 7, 7)
		b.restart()
		begins := b.begins
		b.send(payload)
		b.want(message.Applied, 7, 7)
		if b.begins != begins {
			t.Error("it was tried again")
		}
	})
}

func TestRejectionsAreLoggedOnceAMinuteAndStayShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeAgent(t, always)
		b.start("boot")
		var written atomic.Int64
		log := slog.New(slog.NewTextHandler(counter{&written}, nil))
		b.manager.settings.Log = log
		b.manager.rejections = retry.Faults{Log: log}
		worst := stricttest.Worst(message.MaxConfigDesired - 1024)
		for range 5 {
			for _, text := range worst {
				b.manager.Desired([]byte(`{"revision": 5, "config": ` + string(text) + `}`))
				b.sleep(time.Millisecond)
				text, err := json.Marshal(b.last())
				if err != nil || len(text) > 48<<10 {
					t.Errorf("a report of %d bytes, %v", len(text), err)
				}
			}
		}
		if n := written.Load(); n > 64<<10 {
			t.Errorf("%d bytes of log in some seconds", n)
		}
		b.stop()
	})
}

type counter struct{ bytes *atomic.Int64 }

func (c counter) Write(text []byte) (int, error) {
	c.bytes.Add(int64(len(text)))
	return len(text), nil
}

func TestWorstDocumentsAreAnsweredAtOnce(t *testing.T) {
	desk := newSigner(t)
	keys := map[string]string{"desk": desk.public}
	answer := func(payload []byte) {
		d, faults := message.ParseConfigDesired(payload)
		if len(faults) == 0 {
			d.Verify(furnaceRoot, keys, true)
			v := Version{d.Revision, []byte(local), d.Config}
			v.key()
			if _, err := v.config(); err != nil {
				faultsOf(err)
			}
		}
	}
	for _, around := range []string{`%s`, `{"revision": 5, "config": %s}`, `{"revision": 5, "config": {}, "previous": %s, "key": "desk", "signature": "AAAA"}`} {
		stricttest.CheckBounded(t, func(document []byte) { answer(fmt.Appendf(nil, around, document)) })
	}
}

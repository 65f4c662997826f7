package fleet

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/modelpackage"
)

// knownTo returns a connection on which these payloads of one agent have arrived.
func knownTo(topics map[string]string) *connection {
	payloads := map[string][]byte{}
	for topic, payload := range topics {
		payloads[topic] = []byte(payload)
	}
	return &connection{payloads: map[string]map[string][]byte{"a/b": payloads}}
}

// desk signs a change as SetConfig does, and returns its revision.
func desk(t *testing.T, keyFile string, f *connection, wanted int64) (int64, error) {
	t.Helper()
	how := Change{Signer: Signer{KeyFile: keyFile, KeyName: "desk"}, Revision: wanted}
	key, err := how.read()
	if err != nil {
		t.Fatal(err)
	}
	r, err := how.record()
	if err != nil {
		t.Fatal(err)
	}
	now, newest := f.desiredOf("a/b")
	keys := map[string]string{"desk": modelpackage.PublicOf(key)}
	if !now.Signed(rootOf("a/b"), keys) {
		now = message.ConfigDesired{}
	}
	d := message.ConfigDesired{Config: json.RawMessage("{}")}
	err = how.sign(&d, "a/b", key, r, now.Revision, newest)
	if err == nil && !d.Signed(rootOf("a/b"), keys) {
		t.Error("the document is not signed")
	}
	return d.Revision, err
}

// Nothing that a broker says chooses the revision that is signed next.
func TestForgedReportsChooseNoRevision(t *testing.T) {
	keyFile := filepath.Join(t.TempDir(), "desk.key")
	if _, err := modelpackage.NewKey(keyFile); err != nil {
		t.Fatal(err)
	}
	report := func(revision, running int64) *connection {
		return knownTo(map[string]string{"config/reported": fmt.Sprintf(`{"v": 1, "revision": %d, "running_revision": %d, "status": "applied", "errors": []}`, revision, running)})
	}
	for _, forged := range []int64{5, 1_000_000, 1<<53 - 2} {
		if revision, err := desk(t, keyFile, report(forged, forged), 0); err == nil || !strings.Contains(err.Error(), "--revision") {
			t.Errorf("a key that has signed nothing signs %d after a report of %d: %v", revision, forged, err)
		}
	}
	if revision, err := desk(t, keyFile, knownTo(nil), 0); err != nil || revision != 1 {
		t.Fatalf("the first revision: %d, %v", revision, err)
	}
	want := int64(2)
	for _, forged := range []int64{0, 7, 1 << 40, 1<<53 - 1, math.MaxInt64 - 1, math.MaxInt64} {
		for _, f := range []*connection{report(forged, forged), report(forged, 1), knownTo(map[string]string{"config/desired": fmt.Sprintf(`{"revision": %d, "config": {}}`, forged)})} {
			if revision, err := desk(t, keyFile, f, 0); err != nil || revision != want {
				t.Errorf("%d follows %d by %v after %d was forged", revision, want-1, err, forged)
			}
			want++
		}
	}
	if revision, err := desk(t, keyFile, knownTo(nil), 3); err == nil {
		t.Errorf("%d was signed twice", revision)
	}
	if revision, err := desk(t, keyFile, knownTo(nil), 1000); err != nil || revision != 1000 {
		t.Errorf("asked for 1000: %d, %v", revision, err)
	}
	// Another desk with the same key has no record, but the document at the broker.
	key, err := modelpackage.ReadKey(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	d := message.ConfigDesired{Revision: 2000, Config: json.RawMessage("{}")}
	if err := d.Sign(rootOf("a/b"), "desk", key); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(keyFile + ".revisions"); err != nil {
		t.Fatal(err)
	}
	if revision, err := desk(t, keyFile, knownTo(map[string]string{"config/desired": string(text)}), 0); err != nil || revision != 2001 {
		t.Errorf("after the document that this key signed: %d, %v", revision, err)
	}
}

func TestDamagedRecordIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "revisions")
	for _, text := range []string{"", "{", `{"a/b": "x"}`, `{"a/b": 1, "a/b": 2}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openRecord(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// An unsigned fleet goes on, too: what no agent could take is passed over.
func TestRevisionsThatNoAgentTakesArePassedOver(t *testing.T) {
	for _, forged := range []int64{math.MaxInt64, 1<<53 - 1, 1<<32 + 8} {
		f := knownTo(map[string]string{
			"config/reported": fmt.Sprintf(`{"revision": %d, "running_revision": 7, "status": "rejected"}`, forged),
			"model/reported":  fmt.Sprintf(`{"revision": %d, "running_revision": 7, "status": "rejected"}`, forged),
			"config/desired":  fmt.Sprintf(`{"revision": %d, "config": {}}`, forged),
			"model/desired":   fmt.Sprintf(`{"revision": %d}`, forged),
		})
		if _, newest := f.desiredOf("a/b"); newest != 7 || f.newestModel("a/b") != 7 {
			t.Errorf("%d: %d, %d", forged, newest, f.newestModel("a/b"))
		}
	}
}

func TestReportsAreReadStrictly(t *testing.T) {
	for text, want := range map[string]int64{
		`{"revision": 3, "of_a_later_version": 1}`:  3,
		`{"revision": 3, "revision": 9}`:            0,
		`{"Revision": 9}`:                           0,
		`{"revision": 3, "errors": [{"KEY": "x"}]}`: 0,
		`{"revision": 3, "status": "\ud800"}`:       0,
		strings.Repeat(" ", mostReport) + `{}`:      0,
	} {
		if got := knownTo(map[string]string{"config/reported": text}).configReport("a/b").Revision; got != want {
			t.Errorf("%.60s: revision %d, want %d", text, got, want)
		}
	}
	if got := faults([]message.Fault{{Key: "a", Message: "x\x1b[2J\u009b1m\n"}}); strings.ContainsAny(got, "\x1b\u009b\n") {
		t.Errorf("%q reaches the terminal", got)
	}
}

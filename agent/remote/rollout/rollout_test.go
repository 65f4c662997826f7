package rollout

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/modelpackage"
)

func TestChunksArriveOutOfOrderTwiceAndOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newScripted(t)
		file, signed := b.variant("better")
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		send := func(n int64) {
			chunk, err := modelpackage.Chunk(signed.SHA256, body[n*modelpackage.ChunkSize:min((n+1)*modelpackage.ChunkSize, int64(len(body)))])
			if err != nil {
				t.Fatal(err)
			}
			b.manager.Chunk(n, chunk)
			synctest.Wait()
		}
		desired := payload(t, message.ModelDesired{Revision: 1, SignedPackage: signed, ShadowS: 10, WatchS: 10})
		b.start("boot")
		b.manager.Desired(desired)
		synctest.Wait()
		for _, n := range []int64{2, 1, 9, 0, 0, 3} { // 9 is too far ahead
			send(n)
		}
		if r := b.last(); r.Status != message.Receiving || r.Next != 4 || r.Chunks != modelpackage.Chunks(signed.Size) {
			t.Fatalf("report %+v", r)
		}
		b.stop()
		b.start("boot")
		b.manager.Desired(desired)
		synctest.Wait()
		if r := b.last(); r.Status != message.Receiving || r.Next != 4 {
			t.Fatalf("after a restart: %+v", r)
		}
		for n := b.last().Next; n < b.last().Chunks; n++ {
			send(n)
		}
		b.sleep(time.Minute)
		b.want(message.Live, 1, signed.SHA256)
		b.stop()
	})
}

func TestModelThatFailsAfterTheSwitchIsRolledBackAndNotTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newScripted(t)
		file, signed := b.variant("ill")
		b.fails[signed.SHA256] = errors.New("scripted")
		desired := payload(t, message.ModelDesired{Revision: 1, SignedPackage: signed, ShadowS: 10, WatchS: 30, URL: "file://" + file})
		b.start("boot")
		b.manager.Desired(desired)
		b.sleep(time.Minute)
		b.want(message.RolledBack, 1, "")
		switches := b.steps
		for range 10 {
			b.manager.Desired(desired)
			b.sleep(time.Minute)
		}
		if b.steps != switches+10 { // ten reports and nothing else
			t.Errorf("%d steps for ten reconnections", b.steps-switches)
		}
		b.stop()
	})
}

func TestNewerDocumentEndsAShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newScripted(t)
		file, first := b.variant("first")
		other, second := b.variant("second")
		b.start("boot")
		b.manager.Desired(payload(t, message.ModelDesired{Revision: 1, SignedPackage: first, ShadowS: 3600, WatchS: 30, URL: "file://" + file}))
		b.sleep(time.Minute)
		b.want(message.Shadowing, 1, "")
		b.manager.Desired(payload(t, message.ModelDesired{Revision: 2, SignedPackage: second, ShadowS: 10, WatchS: 10, URL: "file://" + other}))
		b.sleep(time.Minute)
		b.want(message.Live, 2, second.SHA256)
		b.stop()
	})
}

// A kill or a power cut at every step: the next process uses the old model or the new
// one, reports which, and continues.
func TestKillAtEveryStep(t *testing.T) {
	for _, ill := range []bool{false, true} {
		for _, powerCut := range []bool{false, true} {
			step := 0
			for finished := false; !finished; {
				step++
				finished = killed(t, ill, powerCut, step)
			}
			t.Logf("ill %v, power cut %v: killed at each of %d steps", ill, powerCut, step-1)
			if step < 15 {
				t.Errorf("only %d steps: the test does not reach the switch", step)
			}
		}
	}
}

// killed makes one roll-out and dies at a step of it. It returns true if the roll-out
// has fewer steps.
func killed(t *testing.T, ill, powerCut bool, step int) (finished bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newScripted(t)
		file, signed := b.variant("new")
		if ill {
			b.fails[signed.SHA256] = errors.New("scripted")
		}
		desired := payload(t, message.ModelDesired{Revision: 1, SignedPackage: signed, ShadowS: 10, WatchS: 10, URL: "file://" + file})
		b.start("boot")
		b.steps, b.dieAt = 0, step
		b.manager.Desired(desired)
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
		if r := b.last(); !b.true(r) {
			t.Fatalf("step %d: the first report after the start is %+v, %s decides", step, r, b.deciding)
		}
		b.manager.Desired(desired) // the broker sends the retained document again
		b.sleep(5 * time.Minute)
		r := b.last()
		switch {
		case !ill:
			b.want(message.Live, 1, signed.SHA256)
		case r.Status != message.RolledBack || r.Running != "" || !b.true(r):
			t.Fatalf("step %d: report %+v, %s decides", step, r, b.deciding)
		}
		b.stop()
	})
	return finished
}

func TestThirdDeathRollsTheModelBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newScripted(t)
		file, signed := b.variant("deadly")
		b.start("boot")
		b.manager.Desired(payload(t, message.ModelDesired{Revision: 1, SignedPackage: signed, ShadowS: 10, WatchS: 600, URL: "file://" + file}))
		b.sleep(20 * time.Second)
		b.want(message.Watching, 1, signed.SHA256)
		for range 3 {
			files := b.disk.Snapshot()
			b.stop()
			b.disk.PutBack(files) // a death is an end that the journal does not record
			b.start("boot")
		}
		b.want(message.RolledBack, 1, "")
		b.stop()
	})
}

func TestDamagedModelOnDiskIsReplacedAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newScripted(t)
		file, signed := b.variant("fine")
		b.start("boot")
		b.manager.Desired(payload(t, message.ModelDesired{Revision: 1, SignedPackage: signed, ShadowS: 10, WatchS: 10, URL: "file://" + file}))
		b.sleep(time.Minute)
		b.want(message.Live, 1, signed.SHA256)
		b.stop()
		if err := os.WriteFile(filepath.Join(b.folder, signed.SHA256, "saved_model.pb"), []byte("rot"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.start("boot")
		b.want(message.RolledBack, 1, "")
		b.stop()
	})
}

func TestPackageOverHTTPSIsBoundedAndVerified(t *testing.T) {
	b := newScripted(t)
	file, signed := b.variant("better")
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	served := map[string][]byte{"/fine": body, "/cut": body[:1000], "/endless": append(bytes.Clone(body), make([]byte, 1<<20)...)}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := served[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if _, err := w.Write(content); err != nil {
			return // the client has stopped reading
		}
	}))
	defer server.Close()
	m := &Manager{settings: Settings{Folder: b.folder, HTTP: server.Client()}}
	for path, want := range map[string]string{"/fine": "", "/cut": "signed size", "/endless": "signed size", "/gone": "404"} {
		err := m.copyURL(t.Context(), message.ModelDesired{SignedPackage: signed, URL: server.URL + path})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		if info, err := os.Stat(filepath.Join(b.folder, incoming)); err == nil && info.Size() > signed.Size+1 {
			t.Errorf("%s: %d bytes on disk", path, info.Size())
		}
	}
	stranger := &Manager{settings: Settings{Folder: b.folder, HTTP: &http.Client{}}}
	if err := stranger.copyURL(t.Context(), message.ModelDesired{SignedPackage: signed, URL: server.URL + "/fine"}); err == nil {
		t.Error("a server with an untrusted certificate was trusted")
	}
	if _, err := m.openURL(t.Context(), "ftp://x/y"); err == nil {
		t.Error("ftp was accepted")
	}
}

func TestBadDesiredDocuments(t *testing.T) {
	good := `"sha256": "` + strings.Repeat("0a", 32) + `", "size": 5, "key": "desk", "signature": "AA=="`
	for text, key := range map[string]string{
		`{`:                                "",
		`{} {}`:                            "",
		`{"x": 1}`:                         "",
		`{"revision": 1e99, ` + good + `}`: "",
		`{"revision": 0, ` + good + `}`:    "revision",
		`{"revision": 1, "size": 0}`:       "size",
		`{"revision": 1, "shadow_s": 1, ` + good + `}`:          "shadow_s",
		`{"revision": 1, "watch_s": 99999, ` + good + `}`:       "watch_s",
		`{"revision": 1, "min_agreement": 2, ` + good + `}`:     "min_agreement",
		`{"revision": 1, "url": "http://h/x", ` + good + `}`:    "url",
		`{"revision": 1, "url": "https://u@h/x", ` + good + `}`: "url",
		`{"revision": 1, "url": "file://h/x", ` + good + `}`:    "url",
		strings.Repeat(" ", message.MaxModelDesired+1):          "",
	} {
		if _, faults := message.ParseModelDesired([]byte(text)); len(faults) != 1 || faults[0].Key != key {
			t.Errorf("%.60s: %+v, want %q", text, faults, key)
		}
	}
}

// FuzzModelDesired checks that no payload panics, and that none is accepted without a
// trusted signature.
func FuzzModelDesired(f *testing.F) {
	f.Add([]byte(`{"revision": 1, "sha256": "` + strings.Repeat("0a", 32) + `", "size": 5, "key": "desk", "signature": "AA=="}`))
	f.Add([]byte(`{"url": "https://[::1", "min_agreement": "NaN"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, faults := message.ParseModelDesired(text)
		if len(faults) > 0 {
			return
		}
		m := &Manager{}
		if len(m.refusal(d, Limits{Keys: map[string]string{}, Package: 1 << 20})) == 0 {
			t.Errorf("accepted %+v", d)
		}
	})
}

package agent

import (
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"meltwatch/agent/web"
	"meltwatch/config"
)

// collectedLog keeps a log's text.
type collectedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *collectedLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *collectedLog) holds(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// An invalid password of the page does not keep the agent from its watch: the part tells
// why in health, and serves the page once the file is correct. In a change it is refused.
func TestPageWithAnInvalidPassword(t *testing.T) {
	t.Parallel()
	valid, err := web.Hash("meltwatch")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"missing file": "", "no hash": "meltwatch\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			password := filepath.Join(folder, "page.hash")
			if content != "" {
				writeFile(t, password, content, 0o600)
			}
			address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
			text := strings.TrimSuffix(queueDocument(t, "tcp://127.0.0.1:1"), "}") +
				fmt.Sprintf(`, web: {listen: %q, password_file: %q}}`, address, password)
			file := filepath.Join(folder, "meltwatch.yaml")
			writeFile(t, file, text, 0o600)
			var log collectedLog
			a, err := New(Source{Path: file, Document: []byte(text)}, hostEnv(t, slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatalf("the agent does not start: %v", err)
			}
			runAgent(t, a)
			until := func(what string, ok func() bool) {
				for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatalf("not within 30 s: %s; %+v", what, a.registry.Snapshot()["web"])
					}
				}
			}
			until("health tells the fault", func() bool {
				part := a.registry.Snapshot()["web"]
				return part.Status == "fault" && strings.Contains(part.Error, "web.password_file")
			})
			changed := *a.config.Load()
			changed.Recorder.Enabled = false // a section of the page
			if _, faults := a.Begin(changed); len(faults) != 1 || faults[0].Key != "web.password_file" {
				t.Errorf("a change to an invalid password: %v, want it refused", faults)
			}
			writeFile(t, password, string(valid)+"\n", 0o600)
			until("the page is served", func() bool {
				response, err := http.Get("http://" + address)
				if err != nil {
					return false
				}
				return response.Body.Close() == nil && response.StatusCode == http.StatusOK
			})
			until("the log says where", func() bool { return log.holds("page=http://" + address) })
			without := *a.config.Load()
			without.Web = config.Web{}
			if _, faults := a.Begin(without); len(faults) != 0 {
				t.Errorf("a change to no page: %v", faults)
			}
		})
	}
}

package agent

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An agent whose meter and broker are away serves its metrics, says that it is not ready,
// and stops serving when the setting is removed.
func TestMetricsAreServedWhileNothingWorks(t *testing.T) {
	t.Parallel()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	with := func(listen string) string {
		return strings.TrimSuffix(queueDocument(t, "tcp://127.0.0.1:1"), "}") + `, metrics: {listen: "` + listen + `"}}`
	}
	file, text := filepath.Join(t.TempDir(), "meltwatch.yaml"), with(address)
	writeFile(t, file, text, 0o600)
	a, err := New(Source{Path: file, Document: []byte(text)}, hostEnv(t, slog.NewTextHandler(testLog{t}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	runAgent(t, a)
	get := func(path string) (int, string) {
		response, err := http.Get("http://" + address + path)
		if err != nil {
			return 0, err.Error()
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return 0, err.Error()
		}
		return response.StatusCode, string(body)
	}
	until := func(what string, ok func() bool) {
		for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("not within 30 s: %s", what)
			}
		}
	}
	until("metrics tell of the meter's fault", func() bool {
		_, body := get("/metrics")
		return strings.Contains(body, `meltwatch_part_status{part="meters",status="fault"} 1`)
	})
	if status, body := get("/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("readyz: %d %s", status, body)
	}
	if status, body := get("/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d %s", status, body)
	}
	writeFile(t, file, strings.Replace(text, address, "", 1), 0o600)
	a.Reload()
	until("the server is closed", func() bool { status, _ := get("/healthz"); return status == 0 })
	if _, there := a.registry.Snapshot()["metrics"]; there {
		t.Error("health still names the part")
	}
}

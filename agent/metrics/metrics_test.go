package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"meltwatch/agent/health"
	"meltwatch/agent/message"
)

// source is an agent with everything to show.
func source() (Source, *health.Registry, *message.State) {
	registry := health.NewRegistry()
	mqtt := registry.Add("mqtt", time.Hour)
	mqtt.OK()
	mqtt.Count(map[string]uint64{"acked": 12, "waiting_event": 3, "dropped_state": 1})
	registry.Add("camera", time.Hour).Fault(errors.New("no frame"))
	offset := -1.5
	alignment := 0.25
	strange, mean := 0.05, 0.1
	state := &message.State{
		Stamp: message.Stamp{Time: time.Unix(1_800_000_000, 0)}, State: "abnormal", Since: time.Unix(1_799_999_000, 0), Held: true, Level: "alarm",
		PAbnormal: 0.9, PMean: 0.8, Source: "model", Alignment: &alignment, ClockOffsetS: &offset, ClockConfidence: 0.875,
		Senses: message.Senses{Current: "ok", Video: "smoke"}, Coverage: message.Coverage{Current: 1, Video: 0.5},
		Counted:     message.Counted{Current: true},
		Familiarity: &message.Familiarity{Video: &strange}, FamiliarityMean: &message.Familiarity{Video: &mean}, Unfamiliar: &message.Unfamiliar{Video: true},
	}
	return Source{
		Version: "1.2.3", Health: registry.Snapshot, Stuck: registry.Stuck,
		State:      func() *message.State { return state },
		Thresholds: func() (float64, float64) { return 0.6, 0.4 },
	}, registry, state
}

func get(t *testing.T, s Source, path string) (status int, body string) {
	t.Helper()
	handler, err := Handler(s)
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder.Code, recorder.Body.String()
}

func TestScrapeShowsStateAndHealth(t *testing.T) {
	s, _, _ := source()
	status, body := get(t, s, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	for _, want := range []string{
		`meltwatch_furnace_state{status="abnormal"} 1`,
		`meltwatch_furnace_state{status="normal"} 0`,
		`meltwatch_alarm_level{status="alarm"} 1`,
		`meltwatch_alarm_level{status="suspected"} 0`,
		`meltwatch_alarm_held 1`,
		`meltwatch_p_abnormal_mean 0.8`,
		`meltwatch_threshold_enter 0.6`,
		`meltwatch_sense_status{sense="video",status="other"} 1`,
		`meltwatch_window_coverage_ratio{sense="video"} 0.5`,
		`meltwatch_clock_offset_seconds -1.5`,
		`meltwatch_clock_confidence_ratio 0.875`,
		`meltwatch_familiarity{sense="video"} 0.05`,
		`meltwatch_familiarity_mean{sense="video"} 0.1`,
		`meltwatch_unfamiliar{sense="current"} 0`,
		`meltwatch_unfamiliar{sense="video"} 1`,
		`meltwatch_part_status{part="camera",status="fault"} 1`,
		`meltwatch_part_events_total{kind="acked",part="mqtt"} 12`,
		`meltwatch_part_records{kind="waiting_event",part="mqtt"} 3`,
		`meltwatch_build_info{version="1.2.3"} 1`,
		`process_resident_memory_bytes`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("lacks %s", want)
		}
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
}

// The page lists every metric of the agent's own, and no other.
func TestPageListsEveryMetric(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	s, _, _ := source()
	_, body := get(t, s, "/metrics")
	name := regexp.MustCompile(`meltwatch_[a-z_]+`)
	own := func(text string) []string {
		all := name.FindAllString(text, -1)
		slices.Sort(all)
		return slices.Compact(all)
	}
	if have, want := own(string(page)), own(body); !slices.Equal(have, want) {
		t.Errorf("the page has %v, the agent %v", have, want)
	}
	rules, err := os.ReadFile("../../docs/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, used := range own(string(rules)) {
		if !slices.Contains(own(body), used) {
			t.Errorf("alerts.yaml uses %s, which no agent has", used)
		}
	}
}

func TestHealthAndReadiness(t *testing.T) {
	s, registry, state := source()
	if status, body := get(t, s, "/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: %d %s", status, body)
	}
	if status, body := get(t, s, "/readyz"); status != http.StatusOK {
		t.Errorf("readyz: %d %s", status, body)
	}
	state.State = "unknown"
	registry.Snapshot()
	registry.Add("mqtt", time.Hour).Fault(errors.New("no broker"))
	if status, body := get(t, s, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "state is unknown") || !strings.Contains(body, "mqtt: fault") {
		t.Errorf("readyz: %d %s", status, body)
	}
	registry.Add("meters", -time.Second)
	if status, body := get(t, s, "/healthz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "meters") {
		t.Errorf("healthz with a stuck part: %d %s", status, body)
	}
	s.State = func() *message.State { return nil }
	if status, body := get(t, s, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "nothing decided") {
		t.Errorf("readyz before the first decision: %d %s", status, body)
	}
	if status, _ := get(t, s, "/metrics"); status != http.StatusOK {
		t.Errorf("metrics before the first decision: %d", status)
	}
}

// watch notes what the server says of itself.
type watch struct{ said chan error }

func (watch) Beat()           {}
func (w watch) OK()           { w.said <- nil }
func (w watch) Fault(e error) { w.said <- e }

func TestServerServesUntilItsContextEndsAndNamesATakenPort(t *testing.T) {
	s, _, _ := source()
	ctx, cancel := context.WithCancel(t.Context())
	address := make(chan net.Addr, 1)
	w := watch{make(chan error, 8)}
	server := &Server{Address: "127.0.0.1:0", Source: s, Log: slog.New(slog.DiscardHandler), Observer: w, Listening: func(a net.Addr) { address <- a }}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	url := fmt.Sprintf("http://%s/metrics", <-address)
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || !strings.Contains(string(body), "meltwatch_furnace_state") {
		t.Errorf("%v: %.200s", err, body)
	}
	if err := <-w.said; err != nil {
		t.Error(err)
	}
	second := &Server{Address: strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/metrics"), Source: s, Log: server.Log, Observer: w}
	if err := second.Run(ctx); err == nil || !strings.HasPrefix(err.Error(), "metrics.listen: ") {
		t.Errorf("a taken port: %v", err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if response, err := http.Get(url); err == nil {
		response.Body.Close()
		t.Error("still served after the end")
	}
}

func BenchmarkScrape(b *testing.B) {
	s, _, _ := source()
	handler, err := Handler(s)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
}

// Package metrics serves what the agent knows of itself over HTTP, in Prometheus' text
// format: /metrics, and /healthz and /readyz for probes that only ask whether it works.
//
// docs/metrics.md lists every metric. Labels have a bounded number of values: parts,
// senses, states and statuses, never a name from outside.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/localhttp"
)

// Source is where the values come from. Its functions are called at each scrape.
type Source struct {
	Version string
	// Health is how each part is; Stuck names parts whose loops do not come round.
	Health func() map[string]health.Status
	Stuck  func() []string
	// State is the newest published state, nil before the first.
	State func() *message.State
	// Thresholds are those in effect for p(abnormal).
	Thresholds func() (enter, exit float64)
}

// Handler serves the three paths.
func Handler(s Source) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	err := errors.Join(
		registry.Register(collector{s}),
		registry.Register(collectors.NewGoCollector()),
		registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
	)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 5 * time.Second}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, s.Stuck(), "stuck")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, unready(s), "not ready")
	})
	return mux, nil
}

// unready lists what keeps the agent from its work.
func unready(s Source) (missing []string) {
	switch state := s.State(); {
	case state == nil:
		missing = append(missing, "decide: nothing decided yet")
	case state.State == "unknown":
		missing = append(missing, "decide: the state is unknown")
	}
	if m := s.Health()["mqtt"]; m.Status != "ok" {
		missing = append(missing, "mqtt: "+m.Status)
	}
	return missing
}

func answer(w http.ResponseWriter, faults []string, word string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	text := "ok\n"
	if len(faults) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		text = word + ": " + strings.Join(faults, "; ") + "\n"
	}
	_, _ = w.Write([]byte(text)) // the client may have disconnected
}

// Server serves a Source on an address.
type Server struct {
	Address  string // host:port; a port 0 is chosen by the system
	Source   Source
	Log      *slog.Logger
	Observer Observer
	// Listening, unless nil, is called with the address once it accepts connections.
	Listening func(net.Addr)
}

// Observer is told how the server is.
type Observer interface {
	Beat()
	OK()
	Fault(error)
}

const (
	headerTimeout = 5 * time.Second
	writeTimeout  = 10 * time.Second
)

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	handler, err := Handler(s.Source)
	if err != nil {
		return err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.Address)
	if err != nil {
		err = fmt.Errorf("metrics.listen: %w", err)
		s.Observer.Fault(err)
		return err
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: writeTimeout,
		MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	s.Observer.OK()
	if s.Listening != nil {
		s.Listening(listener.Addr())
	}
	err = localhttp.Serve(ctx, listener, server, s.Observer.Beat)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.Observer.Fault(err)
	return fmt.Errorf("serve metrics: %w", err)
}

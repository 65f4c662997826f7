// Package web serves the local page: the furnace now, its recordings, labels for
// training, and what to set. It uses no framework and loads nothing from outside.
//
// Without web.password_file the page only shows, and only to this machine; with it, who
// logs in may acknowledge, shelve, mark, label, and change the configuration on trial.
// docs/page.md describes it.
package web

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/agent/recorder"
	"meltwatch/localhttp"
)

// static holds the page. Its folder vendor holds the charts' library, which make deps
// adds; the page says so if it is missing.
//
//go:embed static
var static embed.FS

// Source is the agent behind the page. Its functions are safe for concurrent use.
type Source struct {
	Site, Furnace, Version string
	// State, Alarm, Health, Thresholds and Model are as published; State and Alarm are nil
	// before the first.
	State func() *message.State
	Alarm func() *message.Alarm
	// Suspicion is the newest suspicion, nil before the first; it may be nil itself.
	Suspicion  func() *message.Alarm
	Health     func() map[string]health.Status
	Thresholds func() (enter, exit float64)
	// Config is the configuration in force as YAML, without a secret. Changer changes it; nil
	// where it does not change while the agent runs.
	Config  func() (string, error)
	Changer Changer
	// View is the newest whole picture as JPEG, with or without the evidence drawn.
	View func(ctx context.Context, evidence bool) ([]byte, error)
	// Crop is the configured crop, and the size of the picture that it is of.
	Crop func() Crop
	// Acknowledge and Shelve act on the alarm with an id; Mark records a remark.
	Acknowledge func(ctx context.Context, id, by string) (held bool, err error)
	Shelve      func(id, by, reason string, lasts time.Duration) error
	Mark        func(by, text string)
	// Labelled tells that somebody labelled a stretch.
	Labelled func(recorder.Label)
	// Library and Labels are the recording and what persons said of it.
	Library *recorder.Library
	Labels  *recorder.Labels
	Live    *Live
	// Comparer compares models on the labelled stretches.
	Comparer Comparer
	// Prober probes the devices.
	Prober Prober
}

// Crop is a rectangle in pixels of a picture of some size.
type Crop struct {
	X             int `json:"x"`
	Y             int `json:"y"`
	Width         int `json:"width"`
	Height        int `json:"height"`
	PictureWidth  int `json:"picture_width"`
	PictureHeight int `json:"picture_height"`
}

// Server serves a Source on an address.
type Server struct {
	Address string // host:port
	// PasswordHash is bcrypt's; empty lets nobody log in.
	PasswordHash []byte
	// Reread, unless nil, reads the hash anew: at each log-in, and while it runs every few
	// seconds. Sessions that began with another password then end.
	Reread func() ([]byte, error)
	// Sessions, unless nil, are those of a server before this one.
	Sessions *Sessions
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
	readTimeout   = 10 * time.Second
	// writeTimeout bounds an answer to a slow client; streams and clips set their own.
	writeTimeout = 30 * time.Second
	idleTimeout  = time.Minute
	maxHeader    = 16 << 10
	// maxConnections bounds the open connections: a page holds two.
	maxConnections = 64
)

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	p, err := s.page(ctx)
	if err != nil {
		return err
	}
	handler, err := p.handler()
	if err != nil {
		return err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.Address)
	if err != nil {
		err = fmt.Errorf("web.listen: %w", err)
		s.Observer.Fault(err)
		return err
	}
	server := newServer(handler, s.Log)
	server.BaseContext = func(net.Listener) context.Context { return ctx } // requests end with the part
	s.Observer.OK()
	if s.Listening != nil {
		s.Listening(listener.Addr())
	}
	unread := ""
	err = localhttp.Serve(ctx, netutil.LimitListener(listener, maxConnections), server, func() {
		s.Observer.Beat()
		unread = s.refresh(p.sessions, unread)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.Observer.Fault(err)
	return fmt.Errorf("serve page: %w", err)
}

// newServer bounds what a client may take of time and memory.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// refresh reads the password anew, and reports that it cannot be read any more, or can be
// again. was is the last report.
func (s *Server) refresh(sessions *Sessions, was string) string {
	err := sessions.refresh()
	switch {
	case err != nil && err.Error() != was:
		s.Observer.Fault(err)
		s.Log.Warn("password not read, nobody can log in", "err", err)
	case err == nil && was != "":
		s.Observer.OK()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// Handler returns the page's handler. Streams end with ctx.
func (s *Server) Handler(ctx context.Context) (http.Handler, error) {
	p, err := s.page(ctx)
	if err != nil {
		return nil, err
	}
	return p.handler()
}

func (s *Server) page(ctx context.Context) (*page, error) {
	host, _, err := net.SplitHostPort(s.Address)
	if err != nil {
		return nil, fmt.Errorf("web.listen: %w", err)
	}
	sessions := s.Sessions
	if sessions == nil {
		sessions = newSessions(s.PasswordHash)
	}
	sessions.use(s.PasswordHash, s.Reread)
	p := &page{
		Source: s.Source, log: s.Log, ctx: ctx.Done(), sessions: sessions, local: localhttp.Loopback(host),
		reads: make(limiter, maxReads), clips: make(limiter, maxClips), checks: make(limiter, maxChecks),
		labelings: make(limiter, maxLabelings), comparisons: make(limiter, maxComparing),
	}
	if p.Changer == nil {
		p.Changer = unchangeable{}
	}
	if !p.local && len(s.PasswordHash) == 0 {
		return nil, fmt.Errorf("web.password_file: is missing; %s is reachable from other machines, so a password is required", s.Address)
	}
	return p, nil
}

func (p *page) handler() (http.Handler, error) {
	files, err := fs.Sub(static, "static")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.index(files))
	mux.Handle("GET /static/", http.StripPrefix("/static/", cached(http.FileServerFS(files))))
	mux.HandleFunc("POST /login", p.login)
	mux.HandleFunc("POST /logout", p.logout)
	for pattern, handle := range map[string]http.HandlerFunc{
		"GET /api/now": p.now, "GET /api/live": p.live, "GET /api/stream": p.stream, "GET /api/view.jpg": p.view,
		"GET /api/timeline": ofDisk(p.reads, p.timeline), "GET /api/samples": ofDisk(p.reads, p.samples),
		"GET /api/picture": ofDisk(p.reads, p.picture), "GET /api/labels": ofDisk(p.reads, p.labels),
		"GET /api/alarms": ofDisk(p.reads, p.alarms), "GET /api/clip.tar": bounded(p.clips, p.clip),
		"GET /api/config": p.config, "GET /api/configuration": p.configuration,
		"GET /api/compare": ofDisk(p.comparisons, p.comparing), "GET /api/comparison": ofDisk(p.reads, p.comparison),
		"GET /api/probe": p.probing,
	} {
		mux.HandleFunc(pattern, p.reading(handle))
	}
	for pattern, handle := range map[string]http.HandlerFunc{
		"POST /api/acknowledge": p.acknowledge, "POST /api/shelve": p.shelve, "POST /api/mark": p.mark, "POST /api/labels": ofDisk(p.labelings, p.putLabels),
		"POST /api/configuration/preview": bounded(p.checks, p.preview), "POST /api/configuration/propose": bounded(p.checks, p.propose),
		"POST /api/configuration/confirm": p.deciding(p.Changer.Confirm), "POST /api/configuration/withdraw": p.deciding(p.Changer.Withdraw),
		"POST /api/compare": ofDisk(p.comparisons, p.startComparison), "POST /api/compare/cancel": p.cancelComparison,
		"POST /api/probe": p.probe(Prober.Start), "POST /api/probe/cancel": p.probe(Prober.Cancel),
	} {
		mux.HandleFunc(pattern, p.writing(handle))
	}
	return localhttp.Secure(mux), nil
}

// page answers requests.
type page struct {
	Source
	log      *slog.Logger
	ctx      <-chan struct{} // closed when streams must end
	sessions *Sessions
	local    bool // whether only this machine reaches the page
	streams  counter
	reads    limiter
	clips    limiter
	checks   limiter
	// labelings and comparisons are the requests that write labels and read models.
	labelings, comparisons limiter
}

func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=300")
		next.ServeHTTP(w, r)
	})
}

// index serves the page itself.
func (p *page) index(files fs.FS) http.HandlerFunc {
	_, missing := fs.Stat(files, "vendor/uPlot.iife.min.js")
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := fs.ReadFile(files, "index.html")
		if err != nil {
			http.Error(w, "the page is missing from this build", http.StatusInternalServerError)
			return
		}
		if missing != nil {
			lines := slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(line string) bool { return strings.Contains(line, "/static/vendor/") })
			text = []byte(strings.Join(lines, ""))
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(text) // the client may have gone
	}
}

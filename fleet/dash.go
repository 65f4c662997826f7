package fleet

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"meltwatch/agent/message"
	"meltwatch/localhttp"
	"meltwatch/retry"
)

// dashFiles are the page of Dash.
//
//go:embed dash
var dashFiles embed.FS

// Furnace is what Dash shows of one agent, from its retained topics.
type Furnace struct {
	Agent  string `json:"agent"`
	Online bool   `json:"online"`
	// State, Alarm, Suspicion and Health are null before the first.
	State     *dashState  `json:"state"`
	Alarm     *dashAlarm  `json:"alarm"`
	Suspicion *dashAlarm  `json:"suspicion"`
	Health    *dashHealth `json:"health"`
	// Rank orders the page: an alarm that nobody has seen is 0.
	Rank int `json:"rank"`
}

// The ranks of furnaces.
const (
	rankAlarm = iota // nobody has seen it
	rankSeen         // acknowledged or shelved
	rankSuspected
	rankUnknown
	rankFault
	rankCalm
)

const (
	dashConnections = 64
	dashStreams     = 24
	dashEvery       = 500 * time.Millisecond
	dashWrite       = 5 * time.Second
	dashHeader      = 5 * time.Second
	dashRetry       = 5 * time.Second
)

// Dash serves a page with all furnaces on an address of this machine until ctx ends. It
// keeps no state: what it shows are the broker's retained topics. listening, unless nil,
// is called with the address.
func (f Fleet) Dash(ctx context.Context, address string, listening func(net.Addr)) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil || !localhttp.Loopback(host) {
		return fmt.Errorf("--listen: %q is invalid: the page has no log-in, so give an address of this machine alone, such as 127.0.0.1:8481", address)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &dash{ended: ctx.Done()}
	server := &http.Server{Handler: d.handler(), ReadHeaderTimeout: dashHeader, ReadTimeout: dashHeader, WriteTimeout: 2 * dashWrite, IdleTimeout: time.Minute}
	if listening != nil {
		listening(listener.Addr())
	}
	followed := make(chan struct{})
	go func() { defer close(followed); d.follow(ctx, f) }()
	err = localhttp.Serve(ctx, netutil.LimitListener(listener, dashConnections), server, func() {})
	over := ctx.Err() != nil // the caller ends the page
	cancel()
	<-followed
	if over {
		return nil
	}
	return fmt.Errorf("serve page: %w", err)
}

// dash is the page's source.
type dash struct {
	ended   <-chan struct{}
	broker  atomic.Pointer[connection] // nil while there is none
	fault   atomic.Pointer[string]     // of the broker
	streams atomic.Int64

	mu     sync.Mutex
	shown  []byte // the view as JSON, for all pages
	seenAt time.Time
}

// follow keeps a connection to the broker until ctx ends.
func (d *dash) follow(ctx context.Context, f Fleet) {
	for {
		c, err := f.connect(ctx)
		if err == nil {
			d.fault.Store(nil)
			d.broker.Store(c)
			if _, err = c.gather(ctx, f.Wait); err == nil {
				err = c.follow(ctx, topicsOf)
			}
			if err == nil {
				select {
				case <-ctx.Done():
				case err = <-c.lost:
				}
			}
			c.close()
			if ctx.Err() != nil {
				return
			}
		}
		text := Printable(fmt.Sprint(err))
		d.fault.Store(&text)
		if !retry.Sleep(ctx, dashRetry) {
			return
		}
	}
}

func (d *dash) handler() http.Handler {
	files, err := fs.Sub(dashFiles, "dash")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		http.ServeFileFS(w, r, files, "dash.html")
	})
	mux.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(files)))
	mux.HandleFunc("GET /api/fleet", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		text, err := d.text()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(text) // the client may have gone
	})
	mux.HandleFunc("GET /api/stream", d.stream)
	return localhttp.Secure(mux)
}

// view is what the page shows.
type view struct {
	Fault    string    `json:"fault"` // of the broker; empty without one
	Furnaces []Furnace `json:"furnaces"`
}

func (d *dash) view() view {
	v := view{Furnaces: []Furnace{}}
	if fault := d.fault.Load(); fault != nil {
		v.Fault = *fault
	}
	c := d.broker.Load()
	if c == nil {
		if v.Fault == "" {
			v.Fault = "not connected yet"
		}
		return v
	}
	for _, agent := range c.agents() {
		v.Furnaces = append(v.Furnaces, c.furnace(agent))
	}
	slices.SortFunc(v.Furnaces, func(a, b Furnace) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), strings.Compare(a.Agent, b.Agent))
	})
	return v
}

// text is the view as JSON, made once for all pages that ask within dashEvery.
func (d *dash) text() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.seenAt) < dashEvery/2 {
		return d.shown, nil
	}
	text, err := json.Marshal(d.view())
	if err == nil {
		d.shown, d.seenAt = text, time.Now()
	}
	return text, err
}

func (c *connection) furnace(agent string) Furnace {
	f := Furnace{
		Agent: Printable(agent), Online: string(c.payload(agent, message.TopicAvailability)) == message.Online,
		State: decoded[dashState](c.payload(agent, message.TopicState)), Alarm: decoded[dashAlarm](c.payload(agent, message.TopicAlarm)),
		Suspicion: decoded[dashAlarm](c.payload(agent, message.TopicSuspicion)), Health: decoded[dashHealth](c.payload(agent, message.TopicHealth)),
	}
	if f.State != nil && f.State.State == "" {
		f.State = nil
	}
	_, faulty, _ := c.faulty(agent)
	abnormal := f.State != nil && f.State.State == "abnormal"
	switch {
	case abnormal && !f.Alarm.seen(f.State.Since):
		f.Rank = rankAlarm
	case abnormal:
		f.Rank = rankSeen
	case f.State != nil && f.State.Level == "suspected" && !f.Suspicion.seen(f.State.LevelSince):
		f.Rank = rankSuspected
	case f.State == nil || !f.Online || f.State.State == "unknown":
		f.Rank = rankUnknown
	case len(faulty) > 0:
		f.Rank = rankFault
	default:
		f.Rank = rankCalm
	}
	return f
}

// stream sends the view whenever it changes, as server-sent events.
func (d *dash) stream(w http.ResponseWriter, r *http.Request) {
	if d.streams.Add(1) > dashStreams {
		d.streams.Add(-1)
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer d.streams.Add(-1)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	tick := time.NewTicker(dashEvery)
	defer tick.Stop()
	before, sent := "", time.Time{}
	for {
		text, err := d.text()
		if err != nil {
			return
		}
		if string(text) != before || time.Since(sent) > 2*dashWrite {
			before, sent = string(text), time.Now()
			if control.SetWriteDeadline(time.Now().Add(dashWrite)) != nil {
				return
			}
			if _, err := fmt.Fprintf(w, "data: %s\n\n", text); err != nil || control.Flush() != nil {
				return
			}
		}
		select {
		case <-d.ended:
			return
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// agents are the names of all agents that the broker knows.
func (c *connection) agents() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.payloads))
}

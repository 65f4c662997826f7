// Package probe finds out what an RTSP camera offers and what to write into the section
// camera of the configuration.
//
// It asks the camera child (meltwatch-camera), so a camera is tried by the code that the
// agent runs: a session over each transport, the newest of which delivers pictures while
// its packets are measured, and one whole picture. A log-in is not repeated after a
// refusal, because many cameras lock an account after five.
//
// What it cannot know: whether the camera's clock is right, so the lag is given only
// where the camera sends its time of day and both clocks agree to a few seconds; and
// whether the crop shows the furnace, for which it draws the crop into the picture.
package probe

import (
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"time"

	"meltwatch/child"
	"meltwatch/drivers"
)

// Options say which camera is asked, and how.
type Options struct {
	// Settings are the camera's, as the agent would use them. Crop is only drawn and
	// checked.
	Settings drivers.CameraSettings
	// PasswordFile and CAFile are written into the configuration's section.
	PasswordFile, CAFile string
	// Program is the path of meltwatch-camera.
	Program string
	// Within is how long the probe may take in all; MinWithin to MaxWithin.
	Within time.Duration
	// Log receives what the child writes to standard error; nil discards it.
	Log *slog.Logger
}

// Bounds of Options.Within.
const (
	MinWithin = 10 * time.Second
	MaxWithin = 30 * time.Second
)

const (
	pollEvery = 100 * time.Millisecond
	// closing is the part of Within that is kept for fetching the picture and for ending
	// the child.
	closing = 2 * time.Second
	// second is the part of Within that is kept for the second transport.
	second = 4 * time.Second
	// enough is how long pictures are watched: the detector of repeated pictures needs
	// about 10 s to learn a camera's noise.
	enough = 10 * time.Second
	// arrives is how long the first packet over the second transport may take.
	arrives = 3 * time.Second
)

// Transport is the result of one transport.
type Transport struct {
	// Name is tcp or udp.
	Name  string `json:"name"`
	Works bool   `json:"works"`
	// Detail is why it does not work, or was not tried.
	Detail string `json:"detail,omitempty"`
}

// Result is what was found.
type Result struct {
	URL        string      `json:"url"`
	Transports []Transport `json:"transports"`
	Login      Login       `json:"login"`
	Video      Video       `json:"video"`
	Clock      Clock       `json:"clock"`
	// Picture is the status that the agent would report: ok, black, frozen, stale, absent.
	Picture string `json:"picture"`
	Cause   string `json:"cause,omitempty"`
	// Findings are what does not fit, with what to set.
	Findings []Finding `json:"findings"`
	// File is where the picture was saved; set by the caller.
	File string `json:"file,omitempty"`
	// YAML is the section to paste; empty if no picture came.
	YAML string `json:"yaml,omitempty"`

	// Image is the newest whole picture; nil without one.
	Image image.Image `json:"-"`
}

// Login is how the camera asks for a log-in.
type Login struct {
	// Offers are what it asks for; empty if it asks for none, or was not reached.
	Offers []string `json:"offers"`
	// Accepted and Refused are its answers to the password; both false if none was sent.
	Accepted bool `json:"accepted"`
	Refused  bool `json:"refused"`
}

// Usable reports whether the agent could use the camera as it is.
func (r Result) Usable() bool {
	for _, f := range r.Findings {
		if f.Fault {
			return false
		}
	}
	return true
}

// prober is one run.
type prober struct {
	options Options
	process *child.Process
	end     time.Time // of all measurements
	result  Result
	// watched is the report of the session whose pictures were watched.
	watched *drivers.StreamReport
	broken  []string // why its earlier sessions were over
	// first is the first picture, still whether one some seconds later was alike.
	first           image.Image
	compared, still bool
}

// Run asks the camera. The error is one of the options or of the child; what is wrong
// with the camera is part of the result.
func Run(ctx context.Context, o Options) (Result, error) {
	if err := o.check(); err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Within)
	defer cancel()
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p := &prober{options: o, end: time.Now().Add(o.Within - closing), result: Result{URL: o.Settings.URL, Picture: string(drivers.Absent)}}
	var err error
	p.process, err = child.Start(ctx, child.Spec{Service: "Camera", Version: drivers.CameraVersion, Program: o.Program, Log: log})
	if err != nil {
		return Result{}, fmt.Errorf("start the camera's program: %w; paths.programs names its folder", err)
	}
	defer p.process.Close()
	p.result.Login.Offers = []string{}
	if err := p.transports(ctx); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("the camera or its program answers too slowly for %s (--within): %w", o.Within, err)
		}
		return p.result, err
	}
	return p.finish()
}

// transports tries each transport in turn until the camera refuses what the other would
// need too.
func (p *prober) transports(ctx context.Context) error {
	asked := []string{drivers.TransportTCP, drivers.TransportUDP}
	s := p.options.Settings
	switch {
	case s.Transport != drivers.TransportAuto:
		asked = []string{s.Transport}
	case drivers.Secure(s.URL):
		asked = asked[:1]
		defer p.note(Transport{Name: drivers.TransportUDP, Detail: "not tried: RTP over UDP is not encrypted, so it cannot be used with rtsps"})
	}
	for i, name := range asked {
		if time.Until(p.end) < time.Second {
			p.note(Transport{Name: name, Detail: "not tried: the time was needed to wait for a key frame"})
			continue
		}
		report, err := p.try(ctx, name, i == len(asked)-1)
		if err != nil {
			return err
		}
		p.result.Login.note(report)
		p.note(resultOf(name, report))
		if report.Packets == 0 && stops(report) {
			p.watch(report)
			for _, rest := range asked[i+1:] {
				p.note(Transport{Name: rest, Detail: "not tried, for the same reason"})
			}
			return nil
		}
	}
	return nil
}

// stops reports whether another transport would meet the same refusal; it may count
// as a second log-in.
func stops(r drivers.StreamReport) bool { return !r.Described || r.LoginRefused }

func (p *prober) note(t Transport) { p.result.Transports = append(p.result.Transports, t) }

// watch makes a report the one that the result describes, unless a better one is there.
func (p *prober) watch(r drivers.StreamReport) {
	if p.watched == nil || p.watched.Packets == 0 {
		p.watched = &r
	}
}

// try opens the stream over one transport and returns what was found. Pictures are
// watched over the first that delivers packets.
func (p *prober) try(ctx context.Context, transport string, last bool) (drivers.StreamReport, error) {
	s := p.options.Settings
	s.Transport, s.Crop = transport, drivers.Rect{}
	s.Width, s.Height, s.Resize = 64, 64, "area" // not asked for
	if _, err := child.Call[struct{}](ctx, p.process, "Camera.Configure", s); err != nil {
		return drivers.StreamReport{}, err
	}
	brief := p.watched != nil && p.watched.Packets > 0
	goal := goal{full: true, deadline: p.end, late: p.end}
	if !last {
		goal.deadline = p.end.Add(-second)
	}
	if brief {
		goal.full, goal.deadline = false, earlier(p.end, time.Now().Add(s.Timeout+arrives))
	}
	report, err := p.follow(ctx, goal)
	if err != nil || brief {
		return report, err
	}
	p.watch(report)
	if report.Decoded > 0 {
		p.result.Image, err = fetch(ctx, p.process)
	}
	return report, err
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// resultOf says whether a transport works.
func resultOf(name string, r drivers.StreamReport) Transport {
	switch {
	case r.Packets > 0:
		return Transport{Name: name, Works: true}
	case r.Ended != "":
		return Transport{Name: name, Detail: r.Ended}
	case name == drivers.TransportUDP && r.Described:
		return Transport{Name: name, Detail: "the camera accepted the session, but no packet arrived in time; a firewall may drop UDP"}
	default:
		return Transport{Name: name, Detail: "no packet arrived in time"}
	}
}

func (l *Login) note(r drivers.StreamReport) {
	if len(r.Offers) > 0 {
		l.Offers = r.Offers
	}
	l.Accepted = l.Accepted || r.LoggedIn
	l.Refused = l.Refused || r.LoginRefused
}

// finish turns what was measured into the result.
func (p *prober) finish() (Result, error) {
	r := &p.result
	if p.watched == nil {
		return *r, errors.New("the camera was not tried: raise --within")
	}
	r.Picture, r.Cause = string(p.watched.Status), p.watched.Cause
	r.Video, r.Clock = videoOf(*p.watched, p.options.Settings), clockOf(*p.watched)
	r.Findings = p.findings()
	var err error
	if p.watched.Packets > 0 {
		r.YAML, err = p.suggest()
	}
	return *r, err
}

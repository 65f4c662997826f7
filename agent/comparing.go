package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"meltwatch/agent/compare"
	"meltwatch/agent/remote/rollout"
	"meltwatch/agent/settings"
	"meltwatch/agent/web"
	"meltwatch/inference"
)

// comparer runs the command compare for the page, one at a time, in a process of its own at
// the lowest priority: neither its memory nor its faults are the watch's.
type comparer struct {
	agent *Agent
	log   *slog.Logger
	asked chan *comparing

	mu    sync.Mutex
	now   *comparing      // nil while none runs
	fault string          // of the last one, empty if it succeeded
	ended <-chan struct{} // closed when the process of the last one has ended; nil before the first
}

// comparing is a comparison that runs.
type comparing struct {
	web.RunningComparison

	folder    string
	cancel    context.CancelFunc // nil until Run has taken it
	cancelled string             // by whom
}

func newComparer(a *Agent) *comparer {
	return &comparer{agent: a, log: a.log("compare"), asked: make(chan *comparing, 1)}
}

var (
	errComparing  = errors.New("a comparison runs already: wait for its end, or cancel it")
	errNoCompare  = errors.New("no comparison runs")
	errStuck      = errors.New("paths.recordings: the last comparison's process does not end, because the disk does not answer: check the disk")
	errNoProgram  = errors.New("the program meltwatch is missing: install the package again")
	errRecordings = errors.New("nothing is recorded: recorder.enabled is false on this box")
)

// Run runs what the page asks for until ctx ends.
func (c *comparer) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case one := <-c.asked:
			working, cancel := context.WithCancel(ctx)
			c.taken(one, cancel)
			c.finish(one, c.work(working, one))
			cancel()
		}
	}
}

// taken lets a comparison be cancelled, which may have been asked for already.
func (c *comparer) taken(one *comparing, cancel context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one.cancel = cancel; one.cancelled != "" {
		cancel()
	}
}

// Start starts a comparison with a candidate, by its id.
func (c *comparer) Start(id, by string) error {
	switch {
	case !c.agent.config.Load().Recorder.Enabled:
		return errRecordings
	case c.agent.env.Program == "":
		return errNoProgram
	}
	found, ok := candidate{}, false
	for _, one := range c.agent.candidates() {
		if one.ID == id && id != "" {
			found, ok = one, true
		}
	}
	if !ok {
		return errors.New("candidate: no such model is on this box: load the page again")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now != nil {
		return errComparing
	}
	if !closed(c.ended) {
		return errStuck
	}
	one := &comparing{RunningComparison: web.RunningComparison{Candidate: found.Candidate, By: by, Began: time.Now().UTC().Round(time.Second)}, folder: found.folder}
	c.now, c.fault = one, ""
	c.asked <- one // there is room: none ran
	c.log.Info("comparison of models started", "candidate", found.Name, "sha256", id, "by", by)
	return nil
}

// Cancel ends the comparison that runs.
func (c *comparer) Cancel(by string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == nil {
		return errNoCompare
	}
	c.now.cancelled = by
	if c.now.cancel != nil {
		c.now.cancel()
	}
	return nil
}

// Status is what the page shows.
func (c *comparer) Status() web.Comparing {
	var s web.Comparing
	for _, one := range c.agent.candidates() {
		s.Candidates = append(s.Candidates, one.Candidate)
	}
	live := c.agent.live.Load()
	s.InForce = compare.Model{Name: live.manifest.Name, Version: live.manifest.Version, SHA256: c.agent.modelName().SHA256}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Fault = c.fault
	if c.now != nil {
		running := c.now.RunningComparison
		s.Running = &running
	}
	return s
}

// Last is the last comparison of the recording, or nil.
func (c *comparer) Last() (*compare.Comparison, error) {
	return compare.Read(c.agent.env.Files(settings.RecordingsFolder(*c.agent.config.Load())))
}

func (c *comparer) finish(one *comparing, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = nil
	switch {
	case one.cancelled != "":
		c.fault = "cancelled by " + one.cancelled
		c.log.Info("comparison of models cancelled", "by", one.cancelled)
	case err != nil:
		c.fault = err.Error()
		c.log.Warn("comparison of models failed", "err", err)
	default:
		c.log.Info("models compared", "candidate", one.Candidate.Name)
	}
}

// work runs the command and follows its progress.
func (c *comparer) work(ctx context.Context, one *comparing) error {
	a := c.agent
	started := func(ended <-chan struct{}) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ended = ended
	}
	err := a.aside(ctx, &progress{c: c, one: one}, started,
		"compare", one.folder, "--with", a.live.Load().folder, "--folder", settings.RecordingsFolder(*a.config.Load()), "--progress")
	if errors.Is(err, errUnended) {
		return errStuck
	}
	return err
}

func closed(ended <-chan struct{}) bool {
	if ended == nil {
		return true
	}
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

// progress reads the lines of --progress.
type progress struct {
	c    *comparer
	one  *comparing
	rest []byte // of a line that is not complete
}

// maxLine bounds a line, in bytes.
const maxLine = 1 << 10

func (p *progress) Write(data []byte) (int, error) {
	p.rest = append(p.rest, data...)
	for {
		line, rest, whole := bytes.Cut(p.rest, []byte("\n"))
		if !whole {
			break
		}
		p.rest = rest
		var now struct{ Done, Of int }
		if json.Unmarshal(line, &now) == nil {
			p.c.mu.Lock()
			p.one.Done, p.one.Of = now.Done, now.Of
			p.c.mu.Unlock()
		}
	}
	if len(p.rest) > maxLine {
		p.rest = nil // not one of ours
	}
	return len(data), nil
}

// tail keeps the end of what a command says.
type tail struct{ text []byte }

const maxTail = 2 << 10 // bytes

func (t *tail) Write(data []byte) (int, error) {
	t.text = append(t.text, data[max(len(data)-maxTail, 0):]...)
	t.text = t.text[max(len(t.text)-maxTail, 0):]
	return len(data), nil
}

// explain is a command's error with what it said last.
func (t *tail) explain(err error) error {
	said := strings.TrimSpace(strings.ToValidUTF8(string(bytes.TrimSpace(t.text)), "?"))
	if said = strings.TrimPrefix(said, "meltwatch: "); said == "" {
		return fmt.Errorf("the process ended: %w", err)
	}
	return errors.New(said)
}

// candidate is a model on this box that may replace the one in force.
type candidate struct {
	web.Candidate

	folder string
}

// candidatesFolder is where candidates are put, below paths.state.
const candidatesFolder = "candidates"

// maxCandidates bounds the candidates that are listed.
const maxCandidates = 50

// candidates lists the models on this box other than the one that decides: those put into
// the folder of candidates, those that were received from the broker, and that of model.path.
func (a *Agent) candidates() (all []candidate) {
	c := a.config.Load()
	live := a.live.Load().folder
	add := func(origin string, folders ...string) {
		for _, folder := range folders {
			if filepath.Clean(folder) == filepath.Clean(live) || len(all) == maxCandidates {
				continue
			}
			one := candidate{web.Candidate{Origin: origin, Name: filepath.Base(folder)}, folder}
			manifest, sum, err := inference.ReadManifest(folder)
			if err == nil && sum == a.modelName().SHA256 {
				continue // a copy of the model in force
			}
			if err == nil {
				one.ID, one.Name, one.Version = sum, manifest.Name, manifest.Version
				err = fits(a.live.Load().manifest, &manifest, c.State)
			}
			if err != nil {
				one.Fault = err.Error()
			}
			all = append(all, one)
		}
	}
	add(web.OriginFolder, subfolders(filepath.Join(c.Paths.State, candidatesFolder))...)
	add(web.OriginReceived, rollout.Packages(filepath.Join(c.Paths.State, "models"))...)
	add(web.OriginConfigured, c.Model.Path)
	return all
}

func subfolders(folder string) (all []string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil // nothing was put there
	}
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(folder, e.Name())); err == nil && info.IsDir() {
			all = append(all, filepath.Join(folder, e.Name()))
		}
	}
	return all
}

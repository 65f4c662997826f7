package agent

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"meltwatch/agent/compare"
	"meltwatch/agent/remote/rollout"
	"meltwatch/agent/settings"
	"meltwatch/agent/web"
	"meltwatch/inference"
)

// comparer compares models for the page, by the command compare.
type comparer struct {
	*jobs

	log   *slog.Logger
	now   *web.RunningComparison // nil while none runs
	fault string                 // of the last one, empty if it succeeded
}

var (
	errComparing  = errors.New("a comparison runs already: wait for its end, or cancel it")
	errNoCompare  = errors.New("no comparison runs")
	errStuck      = errors.New("paths.recordings: the last comparison's process does not end, because the disk does not answer: check the disk")
	errRecordings = errors.New("nothing is recorded: recorder.enabled is false on this box")
)

func newComparer(a *Agent) *comparer {
	return &comparer{jobs: newJobs(a, errComparing, errNoCompare, errStuck), log: a.log("compare")}
}

// Start starts a comparison with a candidate, by its id.
func (c *comparer) Start(id, by string) error {
	if !c.agent.config.Load().Recorder.Enabled {
		return errRecordings
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
	one := &web.RunningComparison{Candidate: found.Candidate, By: by, Began: time.Now().UTC().Round(time.Second)}
	return c.start(&job{
		work:   func(ctx context.Context) error { return c.work(ctx, one, found.folder) },
		finish: func(cancelled string, err error) { c.finish(one, cancelled, err) },
	}, func() {
		c.now, c.fault = one, ""
		c.log.Info("comparison of models started", "candidate", found.Name, "sha256", id, "by", by)
	})
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
		running := *c.now
		s.Running = &running
	}
	return s
}

// Last is the last comparison of the recording, or nil.
func (c *comparer) Last() (*compare.Comparison, error) {
	return compare.Read(c.agent.env.Files(settings.RecordingsFolder(*c.agent.config.Load())))
}

// finish takes the end of a comparison. The lock is held.
func (c *comparer) finish(one *web.RunningComparison, cancelled string, err error) {
	c.now = nil
	switch {
	case cancelled != "":
		c.fault = "cancelled by " + cancelled
		c.log.Info("comparison of models cancelled", "by", cancelled)
	case err != nil:
		c.fault = err.Error()
		c.log.Warn("comparison of models failed", "err", err)
	default:
		c.log.Info("models compared", "candidate", one.Candidate.Name)
	}
}

// work runs the command and follows its progress.
func (c *comparer) work(ctx context.Context, one *web.RunningComparison, folder string) error {
	a := c.agent
	progress := &output{line: func(line []byte) error {
		var now struct{ Done, Of int }
		if err := json.Unmarshal(line, &now); err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		one.Done, one.Of = now.Done, now.Of
		return nil
	}}
	err := c.process(ctx, progress, "compare", folder,
		"--with", a.live.Load().folder, "--folder", settings.RecordingsFolder(*a.config.Load()), "--progress")
	if errors.Is(err, errUnended) {
		return errStuck
	}
	return err
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

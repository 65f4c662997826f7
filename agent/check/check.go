// Package check tries everything that an agent needs, with the code that the agent
// runs, and prints a line for each. All lines are always printed: a check that another
// one's fault prevents is skipped, with the reason.
//
// It does not disturb a running agent: it leaves the outbox and its lock alone, writes
// one file of its own into the state folder and removes it, and has an MQTT client id of
// its own.
package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"meltwatch/agent/stamp"
	"meltwatch/config"
	"meltwatch/durable"
	"meltwatch/inference"
)

// Options configure a check.
type Options struct {
	// Path is the configuration file.
	Path string
	// Only are the names of the checks to print; nil means all. What they depend on is
	// checked too, and printed if it fails.
	Only []string
	// JSON prints each line as a JSON object instead of text.
	JSON bool
	// Offline skips the machine, the devices and the broker.
	Offline bool
	// Timeout is how long each check may take. The camera has keyFrameWait more.
	Timeout time.Duration
}

// Run tries everything and writes the lines to out. It reports whether no line is a
// failure.
func Run(ctx context.Context, o Options, out io.Writer) (ok bool) {
	return newChecker(o).run(ctx, out)
}

// checker holds what the checks learn from each other, and the world around them.
type checker struct {
	config   config.Config
	manifest inference.Manifest
	hasModel bool
	timeout  time.Duration

	options  Options
	document []byte // the content of the file
	clock    stamp.Clock
	files    func(folder string) durable.Files
	space    func(path string) (unix.Statfs_t, error)
}

func newChecker(o Options) *checker {
	return &checker{
		timeout: o.Timeout, options: o,
		clock: stamp.KernelClock{},
		files: func(folder string) durable.Files { return durable.Folder(folder) },
		space: func(path string) (s unix.Statfs_t, err error) { return s, unix.Statfs(path, &s) },
	}
}

// entry is one check.
type entry struct {
	// id is unique; name is the check's name in its lines.
	id, name string
	// key is the setting that a fault concerns if its error names none.
	key string
	// requires are the checks without which this one cannot be made. after are checks
	// that must only have ended.
	requires, after []string
	// online tells that --offline skips it.
	online bool
	// extra is the time that it may take beyond the timeout.
	extra time.Duration
	try   func(context.Context, *checker) outcome
}

// outcome is the result of a check.
type outcome struct {
	lines []Line
	// passable tells that the checks which require this one can be made in spite of a
	// failure.
	passable bool
	// blocker names the check because of which this one was skipped.
	blocker string
	// keep stores in the checker what later checks need; it may be nil.
	keep func(*checker)
}

// keyFrameWait is the extra time that a camera may take: no picture can be decoded
// before a key frame, and some cameras send one every twenty seconds.
const keyFrameWait = 10 * time.Second

// entries lists the checks in the order of their lines.
func entries() []entry {
	settings, model := []string{"config"}, []string{"manifest"}
	inForce := []string{"revision"}
	return []entry{
		{id: "config", name: "config", try: tryConfig},
		{id: "revision", name: "revision", key: "paths.state", requires: settings, try: tryRevision},
		{id: "clock", name: "clock", online: true, try: tryClock},
		{id: "storage", name: "storage", key: "paths.state", requires: settings, after: inForce, online: true, try: tryStorage},
		{id: "disk", name: "disk", key: "paths.state", requires: []string{"storage"}, online: true, try: tryDisk},
		{id: "recordings", name: "recordings", key: "paths.recordings", requires: []string{"storage"}, after: []string{"disk"}, online: true, try: tryRecordings},
		{id: cameraProgram, name: "programs", key: "paths.programs", requires: settings, after: inForce, online: true, try: tryCameraProgram},
		{id: modelProgram, name: "programs", key: "paths.programs", requires: settings, after: inForce, online: true, try: tryModelProgram},
		{id: "manifest", name: "manifest", key: "model.path", requires: settings, after: inForce, try: tryManifest},
		{id: "thresholds", name: "thresholds", key: "state.exit", requires: model, try: tryThresholds},
		{id: "sampling", name: "sampling", key: "meters", requires: model, try: trySampling},
		{id: "model", name: "model", key: "model.path", requires: []string{"manifest", modelProgram}, online: true, try: tryModel},
		{id: "broker", name: "broker", key: "mqtt.broker", requires: settings, after: inForce, online: true, try: tryBroker},
		{id: "meters", name: "meters", key: "meters", requires: settings, after: inForce, online: true, try: tryMeters},
		{id: "camera", name: "camera", key: "camera.url", requires: []string{"manifest", cameraProgram}, extra: keyFrameWait, try: tryCamera},
		{id: "web", name: "web", key: "web.listen", requires: settings, after: inForce, online: true, try: tryWeb},
		{id: "metrics", name: "metrics", key: "metrics.listen", requires: settings, after: inForce, online: true, try: tryMetrics},
	}
}

// Names returns the names of the checks, in the order of their lines.
func Names() []string {
	var names []string
	for _, e := range entries() {
		if !slices.Contains(names, e.name) {
			names = append(names, e.name)
		}
	}
	return names
}

// result is the outcome of a check once done is closed.
type result struct {
	done  chan struct{}
	lines []Line
	// blocker names the check whose fault prevents the checks that require this one;
	// empty if they can be made.
	blocker string
}

func (k *checker) run(ctx context.Context, out io.Writer) (ok bool) {
	all := entries()
	results := map[string]*result{}
	for _, e := range all {
		results[e.id] = &result{done: make(chan struct{})}
	}
	needed := k.needed(all)
	for _, e := range all {
		if !needed[e.id] {
			close(results[e.id].done)
			continue
		}
		go func() {
			r := results[e.id]
			defer close(r.done)
			tried := k.attempt(ctx, e, results)
			if tried.keep != nil {
				tried.keep(k) // what it stores is read after done only
			}
			r.lines = tried.lines
			r.blocker = tried.blocker
			if !tried.passable && slices.ContainsFunc(r.lines, func(l Line) bool { return l.Status == Fail }) {
				r.blocker = nameOf(e.id)
			}
		}()
	}
	ok = true
	for _, e := range all {
		r := results[e.id]
		<-r.done
		for _, line := range r.lines {
			ok = ok && line.Status != Fail
			if k.selected(e.name) || line.Status == Fail {
				line.print(out, k.options.JSON)
			}
		}
	}
	return ok
}

func (k *checker) selected(name string) bool {
	return k.options.Only == nil || slices.Contains(k.options.Only, name)
}

// needed returns the selected checks and all that they depend on.
func (k *checker) needed(all []entry) map[string]bool {
	needed := map[string]bool{}
	for _, e := range slices.Backward(all) { // dependencies come first in the list
		if needed[e.id] = needed[e.id] || k.selected(e.name); needed[e.id] {
			for _, id := range slices.Concat(e.requires, e.after) {
				needed[id] = true
			}
		}
	}
	return needed
}

// attempt waits for the checks on which e depends, and makes it.
func (k *checker) attempt(ctx context.Context, e entry, results map[string]*result) outcome {
	for _, id := range slices.Concat(e.requires, e.after) {
		<-results[id].done
	}
	if k.options.Offline && e.online {
		return outcome{lines: []Line{{Check: e.name, Status: Skip, Detail: "--offline"}}}
	}
	for _, id := range e.requires {
		if blocker := results[id].blocker; blocker != "" {
			detail := "not checked because of the fault of " + blocker
			return outcome{lines: []Line{{Check: e.name, Status: Skip, Detail: detail}}, blocker: blocker}
		}
	}
	return k.bounded(ctx, e)
}

func nameOf(id string) string {
	switch id {
	case cameraProgram, modelProgram:
		return "programs (" + id + ")"
	default:
		return id
	}
}

// lateness is how long after its timeout a check may still return a more exact cause.
const lateness = 2 * time.Second

// bounded makes a check and gives up on it if it does not end: a disk over a network may
// never answer.
func (k *checker) bounded(ctx context.Context, e entry) outcome {
	most := k.timeout + e.extra
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tried := make(chan outcome, 1)
	go func() { tried <- e.try(ctx, k) }()
	timer := time.NewTimer(most + lateness)
	defer timer.Stop()
	var o outcome
	select {
	case o = <-tried:
	case <-timer.C:
		o = failure(fmt.Errorf("no result within %s", most))
	}
	for i := range o.lines {
		e.complete(&o.lines[i], most)
	}
	return o
}

// complete adds the check's name, its key and the remedy to a line.
func (e entry) complete(l *Line, most time.Duration) {
	l.Check = e.name
	if l.Status != Fail {
		return
	}
	if l.Key == "" {
		l.Key = e.key
	}
	if errors.Is(l.cause, context.DeadlineExceeded) {
		l.Detail += fmt.Sprintf("; no answer within %s", most)
	}
	if does := remedy(l.cause); does != "" {
		l.Detail += "; " + does
	}
}

// discard is the log of the parts that are tried.
func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

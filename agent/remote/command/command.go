// Package command executes commands that arrive over MQTT. The list is short, each
// command must be allowed by name in the local file, and none runs a shell or takes a
// path.
//
// A command has an id and a deadline. It is executed at most once, and not after its
// deadline. Its id is written to disk before the execution, so that it survives a
// restart of the agent. A retained command is refused. The number of commands per
// minute is limited; more are dropped, which is reported once a minute.
package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
	"meltwatch/durable"
)

// Agent is the running agent.
type Agent interface {
	// Acknowledge marks an alarm, by its id or the active one, as seen by somebody, and ends it if it is only held,
	// which it reports.
	Acknowledge(ctx context.Context, alarm, by string) (held bool, err error)
	// Shelve silences the alarm for a time.
	Shelve(alarm, by, reason string, lasts time.Duration) error
	// LogLevel sets the log level; "" restores the configured one.
	LogLevel(level string)
	// Restart stops a part and starts it again.
	Restart(part string) error
	// SelfTest returns the status of every part, and an error if one has a fault.
	SelfTest() (any, error)
	// Snapshot publishes the newest picture.
	Snapshot(ctx context.Context) error
}

// Observer receives the server's status.
type Observer interface {
	OK()
	Count(map[string]uint64)
}

const (
	// maxAhead bounds how far ahead a deadline may be, and thereby how long an id must
	// be stored.
	maxAhead   = time.Hour
	levelFor   = time.Hour
	maxWaiting = 16
	// executeLimit bounds the execution of one command.
	executeLimit = 20 * time.Second
)

// Server executes commands one after the other.
type Server struct {
	answer   func(message.CommandResult)
	payloads chan request
	ids      *ids

	mu      sync.Mutex
	allowed config.Commands

	recent        []time.Time // of the last minute
	reportedDrops time.Time   // when dropped commands were last reported
	levelTimer    *time.Timer // restores the log level
	// dropped counts payloads dropped by a full queue or by the limit per minute.
	dropped atomic.Uint64
}

// request is a payload, and whether the broker has retained it.
type request struct {
	text     []byte
	retained bool
}

// New returns a server that passes results to answer, which must not block. Without
// Persist, ids are kept in memory only.
func New(answer func(message.CommandResult)) *Server {
	return &Server{answer: answer, payloads: make(chan request, maxWaiting), ids: &ids{seen: map[string]time.Time{}}}
}

// Persist stores the ids of commands in files. Call it before Run.
func (s *Server) Persist(files durable.Files) { s.ids = openIDs(files) }

// Adopt changes the allowed commands.
func (s *Server) Adopt(c config.Commands) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed = c
}

// Take queues a payload; it never blocks. If the queue is full, the payload is dropped.
func (s *Server) Take(payload []byte) { s.Handle(payload, false) }

// Handle is Take for a payload that the broker may have retained.
func (s *Server) Handle(payload []byte, retained bool) {
	select {
	case s.payloads <- request{payload, retained}:
	default:
		s.dropped.Add(1)
	}
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context, agent Agent, observer Observer) error {
	observer.OK()
	s.levelTimer = time.NewTimer(levelFor)
	s.levelTimer.Stop()
	defer s.levelTimer.Stop()
	for {
		// After a drop the queue is full, so the loop runs again and reports the
		// counter.
		observer.Count(map[string]uint64{"dropped_commands": s.dropped.Load()})
		select {
		case <-ctx.Done():
			return nil
		case p := <-s.payloads:
			s.serve(ctx, agent, p)
		case <-s.levelTimer.C:
			agent.LogLevel("")
		}
	}
}

func (s *Server) serve(ctx context.Context, agent Agent, p request) {
	now := time.Now()
	s.mu.Lock()
	allowed := s.allowed
	s.mu.Unlock()
	if !s.inTime(now, allowed.PerMinute) {
		return
	}
	c, err := message.ParseCommand(p.text)
	if err == nil && p.retained {
		err = errors.New("is retained at the broker, which would repeat it at each connection: publish it without the retain flag, and clear the topic")
	}
	if err == nil {
		err = s.admit(c, allowed, now)
	}
	r := message.CommandResult{Version: 1, ID: c.ID, Command: c.Command, Status: message.Done}
	if err != nil {
		r.Status = message.Rejected
	} else if r.Data, err = s.execute(ctx, agent, c); err != nil {
		r.Status = message.Failed
	}
	if err != nil {
		r.Message = err.Error()
	}
	r.Time = time.Now().UTC().Round(0)
	s.answer(r)
}

// inTime reports whether a command is within the limit per minute.
func (s *Server) inTime(now time.Time, perMinute int) bool {
	s.recent = slices.DeleteFunc(s.recent, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	if len(s.recent) < perMinute {
		s.recent = append(s.recent, now)
		return true
	}
	s.dropped.Add(1)
	if now.Sub(s.reportedDrops) >= time.Minute {
		s.reportedDrops = now
		s.answer(message.CommandResult{Version: 1, Time: now.UTC().Round(0), Status: message.Rejected,
			Message: fmt.Sprintf("more than commands.per_minute (%d) commands: the rest are dropped unread", perMinute)})
	}
	return false
}

// admit refuses a command that is not allowed, late or repeated.
func (s *Server) admit(c message.Command, allowed config.Commands, now time.Time) error {
	by, known := map[string]bool{
		"acknowledge": allowed.Acknowledge, "log_level": allowed.LogLevel, "restart": allowed.Restart, "shelve": allowed.Shelve,
		"self_test": allowed.SelfTest, "snapshot": allowed.Snapshot,
	}[c.Command]
	switch {
	case !known:
		return fmt.Errorf("command: %.64q is not one of acknowledge, log_level, restart, self_test, shelve, snapshot", c.Command)
	case !by:
		return fmt.Errorf("commands.%s is false on this box", c.Command)
	case now.After(c.Deadline):
		return fmt.Errorf("deadline: passed at %s by this box's clock", c.Deadline.UTC().Format(time.RFC3339))
	case c.Deadline.After(now.Add(maxAhead)):
		return fmt.Errorf("deadline: lies more than %s ahead of this box's clock", maxAhead)
	case s.ids.known(c.ID):
		return errors.New(message.CommandRepeated)
	}
	err := s.ids.note(c.ID, c.Deadline, now)
	if err != nil && !slices.Contains(harmless, c.Command) {
		return fmt.Errorf("paths.state: a command that cannot be recorded on disk is not executed: %w", err)
	}
	return nil
}

// unnamed names the sender of a command that does not say by whom it is.
const unnamed = "a command"

// harmless commands change nothing: they are executed even if the disk fails, because a
// repetition after a restart does no harm.
var harmless = []string{"self_test", "snapshot"}

func (s *Server) execute(ctx context.Context, agent Agent, c message.Command) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, executeLimit)
	defer cancel()
	switch c.Command {
	case "acknowledge":
		held, err := agent.Acknowledge(ctx, c.Alarm, cmp.Or(c.By, unnamed))
		if err != nil {
			return nil, err
		}
		return struct {
			Ended bool `json:"ended"`
		}{held}, nil
	case "shelve":
		return nil, agent.Shelve(c.Alarm, cmp.Or(c.By, unnamed), c.Reason, time.Duration(c.Minutes)*time.Minute)
	case "log_level":
		return nil, s.setLevel(agent, c.Level)
	case "restart":
		return nil, agent.Restart(c.Part)
	case "self_test":
		return agent.SelfTest()
	default:
		return nil, agent.Snapshot(ctx)
	}
}

func (s *Server) setLevel(agent Agent, level string) error {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, level) {
		return fmt.Errorf("level: %.64q is not one of debug, info, warn, error", level)
	}
	agent.LogLevel(level)
	s.levelTimer.Reset(levelFor)
	return nil
}

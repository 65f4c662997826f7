// Package command obeys commands that come over MQTT: a short list, each allowed
// by name in the box's own file, none of which runs a shell or takes a path.
//
// A command has an id and a deadline. It is carried out at most once, and not at all
// once the deadline has passed; its id is on disk before anything is done, so that no
// restart of the agent forgets it. A retained command is refused. The number of
// commands per minute is limited; the rest are dropped, and reported once a minute.
package command

import (
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
	// Acknowledge reports whether there was a held alarm to let go of.
	Acknowledge(ctx context.Context) (bool, error)
	// LogLevel sets the log's level; "" is the configuration's.
	LogLevel(level string)
	// Restart ends a part and begins it again.
	Restart(part string) error
	// SelfTest is how every part fares, and an error when one does not.
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
	// maxAhead bounds how far ahead a deadline may lie, and with it how long an id
	// must be remembered.
	maxAhead   = time.Hour
	levelFor   = time.Hour
	maxWaiting = 16
	// carryOutLimit bounds carrying out one command.
	carryOutLimit = 20 * time.Second
)

// Server carries commands out, one after the other.
type Server struct {
	answer   func(message.CommandResult)
	payloads chan request
	ids      *ids

	mu      sync.Mutex
	allowed config.Commands

	recent []time.Time // of the last minute
	told   time.Time   // when dropped commands were last reported
	quiet  *time.Timer // ends a changed log level
	// dropped counts payloads that were dropped: no room, or over the limit per
	// minute.
	dropped atomic.Uint64
}

// request is a payload, and whether the broker retains it.
type request struct {
	text     []byte
	retained bool
}

// New returns a server that hands results to answer, which must not block. It
// forgets ids with its process until Remember is called.
func New(answer func(message.CommandResult)) *Server {
	return &Server{answer: answer, payloads: make(chan request, maxWaiting), ids: &ids{seen: map[string]time.Time{}}}
}

// Persist keeps the ids of commands in files. To be called before Run.
func (s *Server) Persist(files durable.Files) { s.ids = openIDs(files) }

// Adopt changes what is allowed.
func (s *Server) Adopt(c config.Commands) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed = c
}

// Take takes a payload; it never blocks. What finds no room is dropped.
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
func (s *Server) Run(ctx context.Context, box Agent, observer Observer) error {
	observer.OK()
	s.quiet = time.NewTimer(levelFor)
	s.quiet.Stop()
	defer s.quiet.Stop()
	for {
		// What is dropped leaves a full queue behind it: the loop comes round again.
		observer.Count(map[string]uint64{"dropped_commands": s.dropped.Load()})
		select {
		case <-ctx.Done():
			return nil
		case p := <-s.payloads:
			s.serve(ctx, box, p)
		case <-s.quiet.C:
			box.LogLevel("")
		}
	}
}

func (s *Server) serve(ctx context.Context, box Agent, p request) {
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
	} else if r.Data, err = s.carryOut(ctx, box, c); err != nil {
		r.Status = message.Failed
	}
	if err != nil {
		r.Message = err.Error()
	}
	r.Time = time.Now().UTC().Round(0)
	s.answer(r)
}

// inTime holds the rate.
func (s *Server) inTime(now time.Time, perMinute int) bool {
	s.recent = slices.DeleteFunc(s.recent, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	if len(s.recent) < perMinute {
		s.recent = append(s.recent, now)
		return true
	}
	s.dropped.Add(1)
	if now.Sub(s.told) >= time.Minute {
		s.told = now
		s.answer(message.CommandResult{Version: 1, Time: now.UTC().Round(0), Status: message.Rejected,
			Message: fmt.Sprintf("more than commands.per_minute (%d) came: they are dropped unread", perMinute)})
	}
	return false
}

// admit refuses what is not allowed, late, or was here before.
func (s *Server) admit(c message.Command, allowed config.Commands, now time.Time) error {
	by, known := map[string]bool{
		"acknowledge": allowed.Acknowledge, "log_level": allowed.LogLevel, "restart": allowed.Restart,
		"self_test": allowed.SelfTest, "snapshot": allowed.Snapshot,
	}[c.Command]
	switch {
	case !known:
		return fmt.Errorf("command: %.64q is not one of acknowledge, log_level, restart, self_test, snapshot", c.Command)
	case !by:
		return fmt.Errorf("commands.%s is false on this box", c.Command)
	case now.After(c.Deadline):
		return fmt.Errorf("deadline: passed at %s by this box's clock", c.Deadline.UTC().Format(time.RFC3339))
	case c.Deadline.After(now.Add(maxAhead)):
		return fmt.Errorf("deadline: lies more than %s ahead of this box's clock", maxAhead)
	case s.ids.known(c.ID):
		return errors.New("id: was here before; a command is carried out once")
	}
	err := s.ids.note(c.ID, c.Deadline, now)
	if err != nil && !slices.Contains(harmless, c.Command) {
		return fmt.Errorf("paths.state: a command that cannot be noted on disk is not carried out: %w", err)
	}
	return nil
}

// harmless commands change nothing: they are carried out even if the disk fails,
// because repeating one after a restart does no harm.
var harmless = []string{"self_test", "snapshot"}

func (s *Server) carryOut(ctx context.Context, box Agent, c message.Command) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, carryOutLimit)
	defer cancel()
	switch c.Command {
	case "acknowledge":
		held, err := box.Acknowledge(ctx)
		if err == nil && !held {
			err = errors.New("no alarm is held: only one that nothing can deny is let go of")
		}
		return nil, err
	case "log_level":
		return nil, s.setLevel(box, c.Level)
	case "restart":
		return nil, box.Restart(c.Part)
	case "self_test":
		return box.SelfTest()
	default:
		return nil, box.Snapshot(ctx)
	}
}

func (s *Server) setLevel(box Agent, level string) error {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, level) {
		return fmt.Errorf("level: %.64q is not one of debug, info, warn, error", level)
	}
	box.LogLevel(level)
	s.quiet.Reset(levelFor)
	return nil
}

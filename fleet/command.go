package fleet

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/agent/message"
)

// Commands say how a command is sent to agents.
type Commands struct {
	// Timeout is how long each agent's answer may take. An agent does not carry a command
	// out later than that, by its own clock.
	Timeout time.Duration
	// JSON prints an Answer a line instead of text.
	JSON bool
}

// MaxCommandTimeout is how far ahead an agent accepts a command's deadline.
const MaxCommandTimeout = time.Hour

// Answer is what became of one agent.
type Answer struct {
	Agent string `json:"agent"`
	// Status is done, failed, rejected, offline, silent or refused.
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
	// File is where a picture was saved.
	File string `json:"file,omitempty"`
	// Topics are the retained topics that were cleared.
	Topics []string `json:"topics,omitempty"`
}

// The statuses of an Answer besides message.Done, message.Failed and message.Rejected.
const (
	statusOffline = "offline"
	statusSilent  = "silent"  // no answer in time
	statusRefused = "refused" // not attempted
)

// Acknowledge marks the alarms of agents as seen by somebody, ends those that are only
// held, and prints the answers.
func (f Fleet) Acknowledge(ctx context.Context, agents, by string, how Commands) error {
	return f.send(ctx, agents, message.Command{Command: "acknowledge", By: by}, how)
}

// Shelve silences the alarms of agents for some minutes, and prints the answers.
func (f Fleet) Shelve(ctx context.Context, agents, by, reason string, minutes int, how Commands) error {
	return f.send(ctx, agents, message.Command{Command: "shelve", By: by, Reason: reason, Minutes: minutes}, how)
}

// send sends a command to agents and prints the answers.
func (f Fleet) send(ctx context.Context, agents string, command message.Command, how Commands) error {
	return f.command(ctx, agents, how, func(ctx context.Context, c *connection, in *inbox, agent string) Answer {
		sent := command
		sent.Alarm = c.meant(agent)
		answer, _ := c.ask(ctx, in, agent, sent, how.Timeout, false)
		return answer
	})
}

// meant is the id of the alarm or suspicion that a command is about: the one that the broker
// shows now, not a newer one. While both are over it is the alarm's, and the agent answers
// so.
func (c *connection) meant(agent string) string {
	var alarm, suspicion struct{ ID, Phase string }
	if json.Unmarshal(c.payload(agent, message.TopicAlarm), &alarm) != nil {
		alarm.ID, alarm.Phase = "", message.AlarmCleared
	}
	stands := json.Unmarshal(c.payload(agent, message.TopicSuspicion), &suspicion) == nil && suspicion.Phase != message.AlarmCleared
	if stands && alarm.Phase == message.AlarmCleared {
		return suspicion.ID
	}
	return alarm.ID
}

// Snapshot asks agents for a picture and saves each. out is a file for one agent, or an
// existing folder, where a picture is called <site>-<furnace>.jpg.
func (f Fleet) Snapshot(ctx context.Context, agents, out string, how Commands) error {
	info, err := os.Stat(out)
	folder := err == nil && info.IsDir()
	return f.command(ctx, agents, how, func(ctx context.Context, c *connection, in *inbox, agent string) Answer {
		path := out
		if folder {
			path = filepath.Join(out, strings.ReplaceAll(agent, "/", "-")+".jpg")
		} else if chosen, err := c.choose(agents); err != nil || len(chosen) > 1 {
			return Answer{Agent: agent, Status: statusRefused, Message: fmt.Sprintf("--out: %s is not a folder, which several agents need", out)}
		}
		answer, picture := c.ask(ctx, in, agent, message.Command{Command: "snapshot"}, how.Timeout, true)
		if answer.Status != message.Done {
			return answer
		}
		if err := savePicture(path, picture); err != nil {
			return Answer{Agent: agent, Status: message.Failed, Message: err.Error()}
		}
		answer.File = path
		return answer
	})
}

func savePicture(path string, picture []byte) error {
	if !bytes.HasPrefix(picture, []byte{0xff, 0xd8, 0xff}) {
		return fmt.Errorf("the answer on topic snapshot is not a JPEG: %d bytes", len(picture))
	}
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		return fmt.Errorf("save picture: %w", err)
	}
	return nil
}

// command calls one for every chosen agent that is online, prints the answers as they
// come, and fails unless all are done.
func (f Fleet) command(ctx context.Context, agents string, how Commands, one func(context.Context, *connection, *inbox, string) Answer) error {
	if how.Timeout <= 0 || how.Timeout > MaxCommandTimeout {
		return fmt.Errorf("--timeout %s is out of bounds: want more than 0 and at most %s", how.Timeout, MaxCommandTimeout)
	}
	return f.with(ctx, func(c *connection) error {
		chosen, err := c.choose(agents)
		if err != nil {
			return err
		}
		in, err := c.listen(ctx)
		if err != nil {
			return err
		}
		return f.answers(chosen, how.JSON, func(agent string) Answer {
			if !c.online(agent) {
				return Answer{Agent: agent, Status: statusOffline, Message: c.offline(agent)}
			}
			return one(ctx, c, in, agent)
		})
	})
}

// offline is the reason why a command is not sent to an agent.
func (c *connection) offline(agent string) string {
	if !c.heard(agent, message.TopicAvailability) {
		return "no retained message was found on " + message.TopicAvailability + ": " + noneFound
	}
	return "commands are not kept for later"
}

// answers prints the answer of each agent. The error counts those that are not done.
func (f Fleet) answers(agents []string, asJSON bool, one func(agent string) Answer) error {
	var mu sync.Mutex
	var running sync.WaitGroup
	slots := make(chan struct{}, parallel)
	failed := 0
	for _, agent := range agents {
		running.Go(func() {
			slots <- struct{}{}
			answer := one(agent)
			<-slots
			mu.Lock()
			defer mu.Unlock()
			if answer.Status != message.Done {
				failed++
			}
			f.printAnswer(answer, asJSON)
		})
	}
	running.Wait()
	if failed > 0 {
		return fmt.Errorf("%d of %d agents: not done; see above", failed, len(agents))
	}
	return nil
}

func (f Fleet) printAnswer(a Answer, asJSON bool) {
	if asJSON {
		text, err := json.Marshal(a)
		if err != nil { // cannot happen: all fields are texts
			return
		}
		_, _ = fmt.Fprintf(f.Out, "%s\n", text)
		return
	}
	line := a.Agent + ": " + a.Status
	for _, more := range []string{a.Message, a.File, strings.Join(a.Topics, " ")} {
		if more != "" {
			line += ": " + more
		}
	}
	printLine(f.Out, "%s", line)
}

// inbox passes the agents' answers to those who wait for them. One subscription serves
// all, made before the first command is sent.
type inbox struct {
	mu       sync.Mutex
	results  map[string]chan message.CommandResult // by the command's id
	pictures map[string]chan []byte                // by agent
}

// listen subscribes to the topics of answers.
func (c *connection) listen(ctx context.Context) (*inbox, error) {
	in := &inbox{results: map[string]chan message.CommandResult{}, pictures: map[string]chan []byte{}}
	root := message.Root("+", "+")
	filters := map[string]byte{root + message.TopicCommandResult: 1, root + message.TopicSnapshot: 1}
	if err := c.subscribe(ctx, filters, in.take); err != nil {
		return nil, fmt.Errorf("subscribe to the agents' answers: %w", err)
	}
	return in, nil
}

// expect returns where the result and the picture of a command will arrive.
func (in *inbox) expect(id, agent string) (<-chan message.CommandResult, <-chan []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.results[id], in.pictures[agent] = make(chan message.CommandResult, 1), make(chan []byte, 1)
	return in.results[id], in.pictures[agent]
}

func (in *inbox) take(_ paho.Client, m paho.Message) {
	agent, topic, ok := splitTopic(m.Topic())
	if !ok {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if topic == message.TopicSnapshot {
		offer(in.pictures[agent], m.Payload())
		return
	}
	var r message.CommandResult
	if json.Unmarshal(m.Payload(), &r) == nil { // what another program publishes there is not for us
		offer(in.results[r.ID], r)
	}
}

// offer passes a value on unless one waits already, or nobody waits.
func offer[T any](to chan<- T, value T) {
	select {
	case to <- value:
	default:
	}
}

// ask sends a command and waits for its result, and with picture for the picture that it
// makes the agent publish.
func (c *connection) ask(ctx context.Context, in *inbox, agent string, sent message.Command, timeout time.Duration, picture bool) (Answer, []byte) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer := Answer{Agent: agent}
	fail := func(status string, err error) (Answer, []byte) {
		answer.Status, answer.Message = status, err.Error()
		return answer, nil
	}
	sent.ID, sent.Deadline = rand.Text(), time.Now().Add(timeout).UTC()
	results, pictures := in.expect(sent.ID, agent)
	text, err := json.Marshal(sent)
	if err != nil {
		return fail(message.Failed, err)
	}
	if err := c.publish(ctx, agent, message.TopicCommand, false, text); err != nil {
		return fail(message.Failed, err)
	}
	result, err := c.result(ctx, agent, text, timeout/3, results)
	if err != nil {
		return fail(statusSilent, explain(err, fmt.Sprintf("no answer within %s (--timeout); does the broker's access list allow publishing on topic command?", timeout)))
	}
	answer.Status, answer.Message = result.Status, result.Message
	if result.Status != message.Done || !picture {
		return answer, nil
	}
	got, err := receive(ctx, c, pictures)
	if err != nil {
		return fail(statusSilent, explain(err, fmt.Sprintf("the picture did not arrive within %s (--timeout)", timeout)))
	}
	return answer, got
}

// errUnanswered is the error of a command that the box has received, and whose result is missing.
var errUnanswered = errors.New("the box has received the command, but no result has arrived")

// result waits for the result of a command that was sent, and repeats the command at an
// interval: between two nodes of a cluster it may be lost. The agent carries out an id once,
// and rejects a repetition; that rejection is not the result.
func (c *connection) result(ctx context.Context, agent string, sent []byte, every time.Duration, results <-chan message.CommandResult) (message.CommandResult, error) {
	repeat := time.NewTicker(every)
	defer repeat.Stop()
	received := false
	for repeated := false; ; {
		select {
		case r := <-results:
			if !repeated || r.Message != message.CommandRepeated {
				return r, nil
			}
			received = true
		case <-repeat.C:
			if received {
				continue
			}
			repeated = true
			if err := c.publish(ctx, agent, message.TopicCommand, false, sent); err != nil {
				return message.CommandResult{}, err
			}
		case <-ctx.Done():
			if received {
				return message.CommandResult{}, errUnanswered
			}
			return message.CommandResult{}, ctx.Err()
		case err := <-c.lost:
			c.lost <- err // for the others that wait
			return message.CommandResult{}, fmt.Errorf("connection to the broker lost: %w", err)
		}
	}
}

// receive waits for a value. It returns an error if ctx ends or the connection is lost.
func receive[T any](ctx context.Context, c *connection, from <-chan T) (value T, err error) {
	select {
	case value = <-from:
		return value, nil
	case <-ctx.Done():
		return value, ctx.Err()
	case err := <-c.lost:
		c.lost <- err // for the others that wait
		return value, fmt.Errorf("connection to the broker lost: %w", err)
	}
}

// explain replaces the error of a deadline.
func explain(err error, late string) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New(late)
	}
	return err
}

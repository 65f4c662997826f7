// Package child runs a process for work that must not happen in this one: calls into
// C libraries that block, crash and leak.
//
// Parent and child share a socket pair that the child inherits (its standard output is
// unused, because C libraries print there). Over it the parent makes net/rpc calls:
// first a handshake that compares contract versions, then a heartbeat, then whatever
// the child's Service offers. Every message is bounded in size, every call in time, and
// calls in flight in number.
//
// Each end notices when the other ends: a child whose socket closes returns from
// Serve, and a child that does not answer is killed. The caller restarts it: a Process
// that has ended stays ended.
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"meltwatch/tick"
)

// Spec says which program to start and what is expected of it.
type Spec struct {
	// Service is what the child must offer: its name, as in Service.Name.
	Service string
	// Version of the contract that the child must have.
	Version int
	// Program and Args as in os/exec.
	Program string
	Args    []string
	// Env adds to the parent's own environment.
	Env []string
	// Log receives what the child writes to standard error, line by line.
	Log *slog.Logger
	// HeartbeatTimeout is how long a child may leave heartbeats unanswered before it is
	// killed; 5 s when zero. It also bounds the handshake, threefold.
	HeartbeatTimeout time.Duration
}

const (
	// heartbeatShare of the heartbeat's timeout passes between two heartbeats: each wakes
	// both processes.
	heartbeatShare          = 5
	defaultHeartbeatTimeout = 5 * time.Second
	// maxInFlight bounds calls whose caller has given up but whose child has not
	// answered yet; without it a stopped child would fill the socket and block
	// the parent in a write.
	maxInFlight  = 4
	closeTimeout = time.Second // between closing the socket and SIGKILL
	fdVariable   = "MELTWATCH_CHILD_FD"
)

// errSilent is the error of a process that was killed for a missed heartbeat.
var errSilent = errors.New("child silent, killed")

// Process is one running child.
type Process struct {
	spec   Spec
	cmd    *exec.Cmd
	client *rpc.Client
	slots  chan struct{}
	done   chan struct{} // closed when the process has been reaped
	silent atomic.Bool
	ready  atomic.Bool // the handshake has succeeded
	began  time.Time
	// answered is when the child last answered a call, as the time since began.
	answered atomic.Int64
	err      error // set before done closes
}

// Start starts the program and makes the handshake. The process runs until Close, its
// own end, or a missed heartbeat; ctx bounds only the start.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	if spec.HeartbeatTimeout == 0 {
		spec.HeartbeatTimeout = defaultHeartbeatTimeout
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("open socket pair for %s: %w", spec.Program, err)
	}
	cmd, stderr, err := start(spec, theirs)
	theirs.Close()
	if err != nil {
		ours.Close()
		return nil, err
	}
	p := newProcess(spec, cmd, ours)
	preferOOMKill(cmd.Process.Pid)
	forwarded := make(chan string, 1)
	go func() { forwarded <- forward(stderr, spec.Log, cmd.Process.Pid) }() //nolint:contextcheck // it reads until the child has closed its standard error
	go p.reap(forwarded)
	if err := p.handshake(ctx); err != nil {
		err = p.handshakeCause(err)
		p.Close()
		return nil, err
	}
	p.ready.Store(true)
	go p.heartbeat()
	return p, nil
}

func newProcess(spec Spec, cmd *exec.Cmd, conn net.Conn) *Process {
	return &Process{
		spec:   spec,
		cmd:    cmd,
		client: rpc.NewClientWithCodec(newClientCodec(conn)),
		slots:  make(chan struct{}, maxInFlight),
		done:   make(chan struct{}),
		began:  time.Now(),
	}
}

func socketPair() (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ourFile := os.NewFile(uintptr(fds[0]), "parent end")
	defer ourFile.Close()
	theirs := os.NewFile(uintptr(fds[1]), "child end")
	ours, err := net.FileConn(ourFile)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

func start(spec Spec, socket *os.File) (*exec.Cmd, io.ReadCloser, error) {
	// No context: a child ends when its socket closes, and is killed by Close.
	cmd := exec.Command(spec.Program, spec.Args...) //nolint:noctx
	cmd.Env = append(append(os.Environ(), spec.Env...), fdVariable+"="+strconv.Itoa(firstExtraFD))
	cmd.ExtraFiles = []*os.File{socket}
	// Its own process group: Ctrl-C in a terminal is for the parent, which then
	// ends its children in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("open standard error of %s: %w", spec.Program, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start %s: %w", spec.Program, err)
	}
	return cmd, stderr, nil
}

func (p *Process) handshake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*p.spec.HeartbeatTimeout)
	defer cancel()
	hello, err := Call[Hello](ctx, p, "Child.Hello", struct{}{})
	if err != nil {
		return fmt.Errorf("handshake with %s: %w", p.spec.Program, err)
	}
	if hello.Service != p.spec.Service || hello.Version != p.spec.Version {
		return fmt.Errorf("%s offers %s version %d, this agent needs %s version %d: install programs of one release",
			p.spec.Program, hello.Service, hello.Version, p.spec.Service, p.spec.Version)
	}
	return nil
}

// Call calls a method such as "Model.Step". It returns ctx's error when ctx ends
// first; the child may then still be working, and the call counts as in flight
// until it answers.
func Call[Reply any](ctx context.Context, p *Process, method string, args any) (Reply, error) {
	var none Reply
	select {
	case p.slots <- struct{}{}:
	case <-p.done:
		return none, p.Err()
	case <-ctx.Done():
		return none, fmt.Errorf("call %s: %w", method, ctx.Err())
	}
	// The reply is written by the client's goroutine, also after the caller
	// has returned, so each call has its own.
	call := p.client.Go(method, args, new(Reply), make(chan *rpc.Call, 1))
	finished := make(chan error, 1)
	go func() {
		<-call.Done
		if err := call.Error; err == nil || errors.As(err, new(rpc.ServerError)) {
			p.answered.Store(int64(time.Since(p.began)))
		}
		<-p.slots
		finished <- call.Error
	}()
	select {
	case err := <-finished:
		if err != nil {
			return none, fmt.Errorf("call %s: %w", method, err)
		}
		return *call.Reply.(*Reply), nil
	case <-ctx.Done():
		return none, fmt.Errorf("call %s: %w", method, ctx.Err())
	}
}

// heartbeat pings the child and kills one that does not answer. A child that has just answered a
// call need not be woken for it, so the first ping comes up to two intervals after the last answer.
func (p *Process) heartbeat() {
	interval := p.spec.HeartbeatTimeout / heartbeatShare
	round := tick.New(interval)
	defer round.Stop()
	for {
		if time.Since(p.began)-time.Duration(p.answered.Load()) < interval {
			select {
			case <-round.C:
				round.Next()
				continue
			case <-p.done:
				return
			}
		}
		answer := p.client.Go("Child.Ping", struct{}{}, &struct{}{}, make(chan *rpc.Call, 1))
		silence := time.NewTimer(p.spec.HeartbeatTimeout)
		select {
		case <-answer.Done:
			silence.Stop()
		case <-p.done:
			silence.Stop()
			return
		case <-silence.C:
			p.silent.Store(true)
			p.kill()
			return
		}
		if answer.Error != nil { // the connection has failed: no further call is possible
			p.kill()
			return
		}
		select {
		case <-round.C:
			round.Next()
		case <-p.done:
			return
		}
	}
}

// handshakeCause is why a handshake failed: the process's exit, if it ended by itself,
// because a broken pipe does not explain a missing library.
func (p *Process) handshakeCause(handshake error) error {
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.err
	case <-timer.C:
		return handshake
	}
}

// preferOOMKill makes the kernel kill the child before the agent when memory runs out,
// unless the child of a less important program goes even before. If the kernel refuses,
// nothing changes.
func preferOOMKill(pid int) {
	const before = 500
	path := fmt.Sprintf("/proc/%d/oom_score_adj", pid)
	inherited, err := os.ReadFile(path)
	if now, notNumber := strconv.Atoi(strings.TrimSpace(string(inherited))); err == nil && notNumber == nil && now >= before {
		return
	}
	_ = os.WriteFile(path, []byte(strconv.Itoa(before)), 0)
}

// reap waits for the process to end, once what it wrote has been read.
func (p *Process) reap(forwarded <-chan string) {
	last := <-forwarded
	err := p.cmd.Wait()
	_ = p.client.Close()
	switch {
	case p.silent.Load():
		p.err = errSilent
	case err != nil:
		p.err = fmt.Errorf("%s ended: %w", p.spec.Program, err)
		if last != "" && !p.ready.Load() { // later its last line may be hours old
			p.err = fmt.Errorf("%w: %s", p.err, last)
		}
	case !p.ready.Load(): // it did not understand the handshake
		p.err = fmt.Errorf("%s ended at the handshake: install programs of one release", p.spec.Program)
	default:
		p.err = fmt.Errorf("%s ended", p.spec.Program)
	}
	close(p.done)
}

func (p *Process) kill() {
	// The only possible error is that the process has ended already.
	_ = p.cmd.Process.Kill()
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says why the process ended; it is nil while the process runs.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Close ends the child: it closes the socket, which a healthy child obeys, and
// kills what is left after a second. It returns when the process is gone.
func (p *Process) Close() {
	// The only possible error is that the client is closed already.
	_ = p.client.Close()
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.kill()
		<-p.done
	}
}

package child

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// childEnd is the child's end of the connection. It counts the heartbeats that arrive.
type childEnd struct {
	net.Conn
	heartbeats atomic.Int64
	// silent loses the answers, as if the child had been stopped.
	silent atomic.Bool
}

func (c *childEnd) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.heartbeats.Add(int64(bytes.Count(b[:n], []byte(`"Child.Ping"`))))
	return n, err
}

func (c *childEnd) Write(b []byte) (int, error) {
	if c.silent.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// beating is a process in virtual time: answers come from this one, over a pipe, and a program that
// only waits is what is killed.
type beating struct {
	*Process
	t     *testing.T
	child *childEnd
	ended chan struct{} // closed when no further heartbeat is sent
}

func withHeartbeat(t *testing.T, timeout time.Duration, test func(*beating)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		program := exec.Command("sleep", "10")
		if err := program.Start(); err != nil {
			t.Fatal(err)
		}
		b := &beating{newProcess(Spec{HeartbeatTimeout: timeout}, program, ours), t, &childEnd{Conn: theirs}, make(chan struct{})}
		served := make(chan error, 1)
		go func() {
			served <- serve(context.Background(), b.child, Service{Name: "Echo", Version: 7, Receiver: &still{}})
		}()
		go func() { defer close(b.ended); b.heartbeat() }()
		test(b)
		b.kill()
		forwarded := make(chan string, 1)
		forwarded <- ""
		b.reap(forwarded)
		<-b.ended
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// call calls the child, which answers at once.
func (b *beating) call() {
	b.t.Helper()
	if _, err := Call[[]byte](b.t.Context(), b.Process, "Echo.Say", []byte("melt")); err != nil {
		b.t.Fatal(err)
	}
}

// A child whose last answer is younger than the interval of the heartbeats is not woken for one.
// Without calls it gets one each interval.
func TestChildThatHasJustAnsweredGetsNoHeartbeat(t *testing.T) {
	const timeout = 5 * time.Second
	const interval = timeout / heartbeatShare
	for _, every := range []time.Duration{interval / 10, interval * 3 / 5, interval * 99 / 100} {
		t.Run(fmt.Sprint("a call every ", every), func(t *testing.T) {
			withHeartbeat(t, timeout, func(b *beating) {
				for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(every) {
					b.call()
				}
				if n := b.child.heartbeats.Load(); n > 0 {
					t.Errorf("%d heartbeats in a minute", n)
				}
				time.Sleep(time.Minute)
				if n := b.child.heartbeats.Load(); n < 58 || n > 60 {
					t.Errorf("%d heartbeats in a minute without a call, want one a second", n)
				}
			})
		})
	}
}

// A child that is silent is killed once it has left a heartbeat unanswered, which it gets within
// two intervals of its last answer, whenever that came.
func TestSilentChildIsKilledInTimeAfterItsLastAnswer(t *testing.T) {
	const timeout = 5 * time.Second
	const interval = timeout / heartbeatShare
	for last := time.Duration(0); last < 2*interval; last += interval / 4 {
		t.Run(fmt.Sprint("last answer after ", last), func(t *testing.T) {
			withHeartbeat(t, timeout, func(b *beating) {
				time.Sleep(last)
				b.call()
				b.child.silent.Store(true)
				stopped := time.Now()
				select {
				case <-b.ended:
				case <-time.After(time.Minute):
				}
				if took := time.Since(stopped); took < timeout || took > timeout+2*interval {
					t.Errorf("killed %s after its last answer, want %s to %s", took, timeout, timeout+2*interval)
				}
				if !b.silent.Load() {
					t.Error("it is not killed for its silence")
					return
				}
				if status, err := b.cmd.Process.Wait(); err != nil || status.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Errorf("its program ended with %s, %v", status, err)
				}
			})
		})
	}
}

package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/rpc"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test binary is its own child: with this variable set it serves instead of
// testing.
const childRole = "MELTWATCH_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childRole) {
	case "":
		os.Exit(m.Run())
	case "exit":
		os.Exit(3)
	case "deaf": // a program of another release
		os.Exit(0)
	case "loader":
		fmt.Fprintln(os.Stderr, "meltwatch-infer: error while loading shared libraries: libfoo.so.2: cannot open shared object file: No such file or directory")
		os.Exit(127)
	default:
		fmt.Fprintln(os.Stderr, "hello from the child")
		if err := Serve(context.Background(), Service{Name: "Echo", Version: 7, Receiver: &echo{}}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

type echo struct{}

// still is a receiver whose calls always return at once.
type still struct{}

func (*still) Say(in []byte, out *[]byte) error { *out = in; return nil }

func (*echo) Say(in []byte, out *[]byte) error { *out = in; return nil }
func (*echo) Fail(struct{}, *struct{}) error   { return errors.New("on purpose") }
func (*echo) Sleep(d time.Duration, _ *struct{}) error {
	time.Sleep(d)
	return nil
}
func (*echo) NotANumber(_ struct{}, out *float64) error { *out = math.NaN(); return nil }
func (*echo) Rant(n int, _ *struct{}) error             { return errors.New(strings.Repeat("\x01", n)) }
func (*echo) Huge(n int, out *[]byte) error             { *out = make([]byte, n); return nil }

// logged is a log that a test can read while a child writes to it.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func spec(role string, log *logged) Spec {
	return Spec{
		Service: "Echo", Version: 7, Program: os.Args[0], Env: []string{childRole + "=" + role},
		Log: slog.New(slog.NewTextHandler(log, nil)), HeartbeatTimeout: 10 * time.Second, // on a busy machine a child answers late
	}
}

func startEcho(t *testing.T) (*Process, *logged) {
	t.Helper()
	log := &logged{}
	p, err := Start(t.Context(), spec("echo", log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, log
}

func waitEnd(t *testing.T, p *Process) error {
	t.Helper()
	select {
	case <-p.Done():
		return p.Err()
	case <-time.After(20 * time.Second):
		t.Fatal("the process did not end")
		return nil
	}
}

func TestCallReturnsTheReply(t *testing.T) {
	p, _ := startEcho(t)
	want := bytes.Repeat([]byte("melt"), 50_000)
	got, err := Call[[]byte](t.Context(), p, "Echo.Say", want)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes, %v; want %d bytes", len(got), err, len(want))
	}
}

func TestCallReturnsTheChildsError(t *testing.T) {
	p, _ := startEcho(t)
	if _, err := Call[struct{}](t.Context(), p, "Echo.Fail", struct{}{}); err == nil || !strings.Contains(err.Error(), "on purpose") {
		t.Fatalf("got %v, want the child's own words", err)
	}
}

func TestStandardErrorIsForwarded(t *testing.T) {
	p, log := startEcho(t)
	p.Close()
	if !strings.Contains(log.String(), "hello from the child") {
		t.Fatalf("log %q lacks the child's line", log)
	}
}

func TestCallGivesUpWithItsContext(t *testing.T) {
	p, _ := startEcho(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Call[struct{}](ctx, p, "Echo.Sleep", 10*time.Second); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want deadline exceeded", err)
	}
	if _, err := Call[[]byte](t.Context(), p, "Echo.Say", []byte("still here")); err != nil {
		t.Fatalf("a call after an abandoned one: %v", err)
	}
}

func TestAbandonedCallsAreBounded(t *testing.T) {
	p, _ := startEcho(t)
	for i := range maxInFlight + 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := Call[struct{}](ctx, p, "Echo.Sleep", time.Minute)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("call %d: got %v, want deadline exceeded", i, err)
		}
	}
	if got := len(p.slots); got != maxInFlight {
		t.Fatalf("%d calls in flight, want the bound of %d", got, maxInFlight)
	}
}

func TestKilledChildIsNoticed(t *testing.T) {
	p, _ := startEcho(t)
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := waitEnd(t, p); err == nil {
		t.Fatal("a killed child left no error")
	}
	if _, err := Call[[]byte](t.Context(), p, "Echo.Say", nil); err == nil {
		t.Fatal("a call to a dead child succeeded")
	}
}

// Calls that are answered take the place of heartbeats, and a child that stops after them is
// killed as one that was never called.
func TestStoppedChildIsKilledForItsSilence(t *testing.T) {
	for name, calls := range map[string]int{"without calls": 0, "after its answers": 20} {
		t.Run(name, func(t *testing.T) {
			s := spec("echo", &logged{})
			s.HeartbeatTimeout = time.Second
			p, err := Start(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			for range calls {
				if _, err := Call[[]byte](t.Context(), p, "Echo.Say", []byte("melt")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Millisecond)
			}
			if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			if err := waitEnd(t, p); !errors.Is(err, errSilent) {
				t.Fatalf("got %v, want %v", err, errSilent)
			}
		})
	}
}

func TestChildThatExitsAtOnceFailsTheStart(t *testing.T) {
	if _, err := Start(t.Context(), spec("exit", &logged{})); err == nil {
		t.Fatal("start succeeded on a program that exits at once")
	}
}

func TestMissingProgramFailsTheStart(t *testing.T) {
	s := spec("echo", &logged{})
	s.Program = "/nonexistent/program"
	if _, err := Start(t.Context(), s); err == nil || !strings.Contains(err.Error(), s.Program) {
		t.Fatalf("got %v, want an error that names the program", err)
	}
}

func TestOtherVersionIsRefused(t *testing.T) {
	s := spec("echo", &logged{})
	s.Version = 8
	if _, err := Start(t.Context(), s); err == nil || !strings.Contains(err.Error(), "version 7") {
		t.Fatalf("got %v, want an error that names both versions", err)
	}
}

// A child whose messages have another form ends: the error names the remedy.
func TestChildOfAnotherReleaseNamesTheRemedy(t *testing.T) {
	if _, err := Start(t.Context(), spec("deaf", &logged{})); err == nil || !strings.Contains(err.Error(), "install programs of one release") {
		t.Fatalf("got %v, want the remedy", err)
	}
}

func TestReplyThatCannotBeSentIsThatCallsError(t *testing.T) {
	p, _ := startEcho(t)
	if _, err := Call[[]byte](t.Context(), p, "Echo.Huge", maxMessage); err == nil || !strings.Contains(err.Error(), "message over") {
		t.Fatalf("got %v for a message over the bound", err)
	}
	if _, err := Call[float64](t.Context(), p, "Echo.NotANumber", struct{}{}); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Fatalf("got %v for NaN", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	// An error has its own bound: without an answer its call would take up a slot for good.
	for range maxInFlight + 1 {
		if _, err := Call[struct{}](ctx, p, "Echo.Rant", maxMessage/4); err == nil || errors.Is(err, context.DeadlineExceeded) || len(err.Error()) > 2*maxError {
			t.Fatalf("got %.100v for an error over the bound", err)
		}
	}
	if _, err := Call[[]byte](t.Context(), p, "Echo.Say", []byte("still here")); err != nil {
		t.Fatalf("a call after them: %v", err)
	}
}

func TestTooLargeAQuestionIsRefused(t *testing.T) {
	p, _ := startEcho(t)
	if _, err := Call[[]byte](t.Context(), p, "Echo.Say", make([]byte, maxMessage)); err == nil {
		t.Fatal("a message over the bound went out")
	}
	if _, err := Call[[]byte](t.Context(), p, "Echo.Say", []byte("still here")); err != nil {
		t.Fatalf("a call after it: %v", err)
	}
}

func TestServeReturnsWhenTheParentCloses(t *testing.T) {
	ours, theirs := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- serve(t.Context(), theirs, Service{Name: "Echo", Version: 1, Receiver: &echo{}}) }()
	ours.Close()
	if err := <-served; err != nil {
		t.Fatalf("serve: %v", err)
	}
}

func TestServeReturnsThoughACallIsStuck(t *testing.T) {
	ours, theirs := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- serve(t.Context(), theirs, Service{Name: "Echo", Version: 1, Receiver: &echo{}}) }()
	client := rpc.NewClientWithCodec(newClientCodec(ours))
	stuck := client.Go("Echo.Sleep", time.Hour, &struct{}{}, nil)
	if err := client.Call("Child.Ping", struct{}{}, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	client.Close()
	<-stuck.Done
	if err := <-served; err != nil {
		t.Fatalf("serve: %v", err)
	}
}

func TestServeByHandExplainsItself(t *testing.T) {
	t.Setenv(fdVariable, "")
	if err := Serve(t.Context(), Service{Name: "Echo", Receiver: &echo{}}); err == nil || !strings.Contains(err.Error(), "started by meltwatch") {
		t.Fatalf("got %v, want an explanation", err)
	}
}

// FuzzServe feeds a child what no honest parent writes: it must end without a
// panic, whatever comes.
func FuzzServe(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x00\x00\x02\x00\x00\x00\x02{}{}"))
	f.Add([]byte("\x00\x00\x00\x02\x00\x00\x00\x00{}"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
	say, body := `{"method":"Echo.Say","seq":1}`, `"bWVsdA=="`
	f.Add(append([]byte{0, 0, 0, byte(len(say)), 0, 0, 0, byte(len(body))}, say+body...))
	f.Fuzz(func(t *testing.T, input []byte) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := serve(context.Background(), theirs, Service{Name: "Echo", Version: 1, Receiver: &still{}}); err != nil {
				t.Error(err)
			}
		}()
		go func() { // drain answers, or the pipe blocks
			buf := make([]byte, 1024)
			for {
				if _, err := ours.Read(buf); err != nil {
					return
				}
			}
		}()
		_, _ = ours.Write(input) // the child may close half way
		ours.Close()
		<-done
	})
}

// FuzzAnswer feeds a parent what no honest child writes, as one might whose library was
// taken over by a picture: the call must end, whatever comes.
func FuzzAnswer(f *testing.F) {
	answer := func(head, body string) []byte {
		return append([]byte{0, 0, 0, byte(len(head)), 0, 0, 0, byte(len(body))}, head+body...)
	}
	f.Add([]byte{})
	f.Add(answer(`{"method":"Echo.Say","seq":0}`, `"bWVsdA=="`))
	f.Add(answer(`{"method":"Echo.Say","seq":0,"error":"on purpose"}`, `null`))
	f.Add(answer(`{"method":"Echo.Say","seq":7}`, `"bWVsdA=="`))
	f.Add(answer(`{"method":"Echo.Say","seq":0}`, ``))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, input []byte) {
		ours, theirs := net.Pipe()
		asked := make(chan struct{})
		go func() { defer close(asked); _, _ = theirs.Read(make([]byte, 1024)) }()
		client := rpc.NewClientWithCodec(newClientCodec(ours))
		call := client.Go("Echo.Say", []byte("melt"), new([]byte), make(chan *rpc.Call, 1))
		<-asked
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			_, _ = theirs.Write(input) // the parent may have given up half way
			theirs.Close()
		}()
		<-call.Done
		client.Close()
		<-answered
		if said := len(*call.Reply.(*[]byte)); said > len(input) {
			t.Errorf("%d bytes from %d", said, len(input))
		}
	})
}

// A child that cannot start says why in the loader's own words: a broken pipe, which
// is what its parent sees first, helps nobody.
func TestChildThatCannotStartTellsWhatTheLoaderSaid(t *testing.T) {
	for range 20 {
		var log logged
		_, err := Start(t.Context(), spec("loader", &log))
		if err == nil || !strings.Contains(err.Error(), "libfoo.so.2: cannot open shared object file") || strings.Contains(err.Error(), "broken pipe") {
			t.Fatalf("got %v", err)
		}
	}
}

func TestChildIsEndedBeforeItsParentWhereMemoryRunsOut(t *testing.T) {
	p, _ := startEcho(t)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(text)) != "500" {
		t.Errorf("oom_score_adj %s, want 500", text)
	}
}

package infer

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"meltwatch/agent/supervisor"
	"meltwatch/child"
	"meltwatch/inference"
)

// The test binary is its own inference child. The real child, with TensorFlow, is
// tested in agent. Here a file that the child reads at each call scripts its faults, so
// that a test can end a fault while the child runs.
const script = "MELTWATCH_TEST_SCRIPT"

func TestMain(m *testing.M) {
	if os.Getenv(script) == "" || os.Getenv("MELTWATCH_CHILD_FD") == "" {
		os.Exit(m.Run())
	}
	if fault() == "exit" {
		os.Exit(3)
	}
	if err := child.Serve(context.Background(), child.Service{Name: "Model", Version: inference.ChildVersion, Receiver: &fake{}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func fault() string {
	text, _ := os.ReadFile(os.Getenv(script)) // a missing file means no fault
	return string(text)
}

type fake struct{}

func (*fake) Load(_ inference.LoadRequest, reply *inference.LoadReply) error {
	reply.Manifest.Name = "fake"
	return nil
}

func (*fake) EncodeFrame(_ inference.Frame, reply *inference.Encoded) error {
	reply.Tokens = []float32{1}
	return nil
}

func (*fake) Step(_ inference.Window, reply *inference.Outputs) error {
	switch fault() {
	case "nan":
		*reply = inference.Outputs{inference.PAbnormal: {float32(math.NaN())}}
	case "empty":
		*reply = inference.Outputs{}
	case "sleep":
		time.Sleep(time.Minute)
	case "crash":
		os.Exit(1)
	default:
		*reply = inference.Outputs{inference.PAbnormal: {0.25}}
	}
	return nil
}

type notes struct {
	mu     sync.Mutex
	faults []string
}

func (*notes) Beat()                   {}
func (*notes) OK()                     {}
func (*notes) Count(map[string]uint64) {}
func (n *notes) Fault(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = append(n.faults, err.Error())
}

// model is a supervised client whose child's behaviour the test sets.
type model struct {
	*Client
	t    *testing.T
	file string
	*notes
}

func start(t *testing.T, behaviour string) *model {
	t.Helper()
	m := &model{t: t, file: t.TempDir() + "/script", notes: &notes{}}
	t.Setenv(script, m.file)
	m.behave(behaviour)
	log := slog.New(slog.DiscardHandler)
	m.Client = New(os.Args[0], "unused", log, m.notes)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { supervisor.Run(ctx, "model", log, m.Client.Run) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return m
}

func (m *model) behave(how string) {
	m.t.Helper()
	if err := os.WriteFile(m.file, []byte(how), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// ask makes one bounded call, like the decision loop.
func (m *model) ask() (float32, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	out, err := m.Step(ctx, inference.Window{})
	if err != nil {
		return 0, err
	}
	return out[inference.PAbnormal][0], nil
}

func (m *model) healthyWithin(limit time.Duration) {
	m.t.Helper()
	began := time.Now()
	for {
		if p, err := m.ask(); err == nil {
			if p != 0.25 {
				m.t.Fatalf("p %v, want 0.25", p)
			}
			m.t.Logf("healthy after %s", time.Since(began).Round(10*time.Millisecond))
			return
		}
		if time.Since(began) > limit {
			m.t.Fatalf("not healthy within %s; faults: %s", limit, strings.Join(m.faults, "; "))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

const limit = 15 * time.Second // within which a healthy model must return, by the specification

func (m *model) pid() int {
	m.t.Helper()
	p := m.alive.Load()
	if p == nil {
		m.t.Fatal("the child does not run")
	}
	return p.PID()
}

func TestKilledChildIsReplaced(t *testing.T) {
	m := start(t, "")
	m.healthyWithin(limit)
	if err := syscall.Kill(m.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.healthyWithin(limit)
}

func TestStoppedChildIsReplaced(t *testing.T) {
	m := start(t, "")
	m.healthyWithin(limit)
	if err := syscall.Kill(m.pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// The signal reaches a thread on another processor a moment later: one more answer may come.
	for began := time.Now(); ; {
		if _, err := m.ask(); err != nil {
			break
		}
		if time.Since(began) > time.Second {
			t.Fatal("a stopped child still answers")
		}
	}
	m.healthyWithin(limit)
}

func TestChildThatExitsAtOnceIsTriedAgain(t *testing.T) {
	m := start(t, "exit")
	time.Sleep(3 * time.Second)
	if _, err := m.ask(); err == nil {
		t.Fatal("a child that exits answered")
	}
	m.behave("")
	m.healthyWithin(limit)
}

func TestWrongAnswersAreErrorsAndReplaceTheChild(t *testing.T) {
	for _, wrong := range []string{"nan", "empty", "crash", "sleep"} {
		t.Run(wrong, func(t *testing.T) {
			m := start(t, "")
			m.healthyWithin(limit)
			before := m.starts.Load()
			m.behave(wrong)
			for deadline := time.Now().Add(30 * time.Second); m.starts.Load() == before; {
				if p, err := m.ask(); err == nil {
					t.Fatalf("a model with the fault %q answered %v", wrong, p)
				}
				if time.Now().After(deadline) {
					t.Fatal("the child was not replaced")
				}
				time.Sleep(50 * time.Millisecond)
			}
			m.behave("")
			m.healthyWithin(limit)
		})
	}
}

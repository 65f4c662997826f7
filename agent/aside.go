package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// errUnended tells that a process does not end, not even when it is killed: it waits for the
// kernel.
var errUnended = errors.New("its process does not end")

// aside runs a command of this program in a process of its own, with the configuration in
// force on its standard input, until it ends or ctx does. What it prints goes to out. started
// receives what is closed when the process has ended.
func (a *Agent) aside(ctx context.Context, out io.Writer, started func(ended <-chan struct{}), arguments ...string) error {
	text, err := a.configInForce()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, a.env.Program, append(arguments, "--config", "/dev/stdin")...)
	said := &tail{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(text), out, said
	// Of an agent that runs under systemd it inherits neither the watchdog nor the journal.
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET=", "JOURNAL_STREAM=", "MELTWATCH_CONFIG=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C in a terminal is for the agent
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = asideEnds
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the process: %w", err)
	}
	ended := make(chan struct{})
	started(ended)
	go func() { err = cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		timeout := time.NewTimer(2 * asideEnds)
		defer timeout.Stop()
		select {
		case <-ended:
		case <-timeout.C:
			return errUnended
		}
	}
	if err != nil {
		return said.explain(err)
	}
	return nil
}

// asideEnds is how long a cancelled process may take before it is killed.
const asideEnds = 5 * time.Second

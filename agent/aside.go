package agent

import (
	"bytes"
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

// output reads what a process prints, line by line. After an error the process ends, because
// it cannot write any more.
type output struct {
	line func(line []byte) error
	// most bounds all that is read, in bytes; 0 for no bound but that of a line.
	most int
	read int
	rest []byte // of a line that is not complete
	err  error  // the first
}

// maxLine bounds a line, in bytes.
const maxLine = 64 << 10

var errOutput = errors.New("the output of the process is invalid: install the package again")

// Write implements io.Writer.
func (o *output) Write(data []byte) (int, error) {
	o.read += len(data)
	if err := o.take(data); err != nil && o.err == nil {
		o.err = err
	}
	if o.err != nil {
		return 0, o.err
	}
	return len(data), nil
}

func (o *output) take(data []byte) error {
	if o.most > 0 && o.read > o.most {
		return errOutput
	}
	searched := len(o.rest)
	o.rest = append(o.rest, data...)
	for {
		end := bytes.IndexByte(o.rest[searched:], '\n')
		if end < 0 {
			break
		}
		line := o.rest[:searched+end]
		o.rest, searched = o.rest[searched+end+1:], 0
		if err := o.line(line); err != nil {
			return fmt.Errorf("%w (%w)", errOutput, err)
		}
	}
	if len(o.rest) > maxLine {
		return errOutput
	}
	return nil
}

// tail keeps the end of what a command says.
type tail struct{ text []byte }

const maxTail = 2 << 10 // bytes

func (t *tail) Write(data []byte) (int, error) {
	t.text = append(t.text, data[max(len(data)-maxTail, 0):]...)
	t.text = t.text[max(len(t.text)-maxTail, 0):]
	return len(data), nil
}

// explain is a command's error with what it said last.
func (t *tail) explain(err error) error {
	said := strings.TrimSpace(strings.ToValidUTF8(string(bytes.TrimSpace(t.text)), "?"))
	if said = strings.TrimPrefix(said, "meltwatch: "); said == "" {
		return fmt.Errorf("the process ended: %w", err)
	}
	return errors.New(said)
}

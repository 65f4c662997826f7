package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote"
	"meltwatch/commandline"
	"meltwatch/config"
	"meltwatch/durable"
)

// notePID writes the process id for `meltwatch reload`. An error of the folder does not
// stop the agent; health reports it.
func notePID(folder string) error {
	err := os.WriteFile(pidFile(folder), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
	var path *fs.PathError
	if errors.As(err, &path) {
		return nil
	}
	return err
}

func pidFile(folder string) string { return filepath.Join(folder, "pid") }

type reloadCommand struct {
	configFlag
	Wait    bool          `help:"Wait until the agent has applied the file, rejected it or rolled it back, and say which."`
	Timeout time.Duration `placeholder:"DURATION" help:"How long to wait; by default twice remote.deadline of the file and 90s more, since a change from the page may be on trial before."`
	JSON    bool          `name:"json" help:"Print the result as JSON, as on the topic config/reported; implies --wait."`
}

// Exit statuses of reload --wait.
const (
	exitRefused = 3 // the agent rejected the file, or rolled it back
	exitSilent  = 4 // the agent has ended, or no result came in time
)

// Help is printed below the command's flags.
func (reloadCommand) Help() string {
	return `A file that is wrong is refused before the agent is told. The agent applies a changed file part by part, waits at most
remote.deadline until each changed part works, and goes back to the configuration before if one does not.

Exit status: 0 if the agent was told, with --wait if the file is in force; 1 if the file is wrong or no agent runs; 2 if
the command line is wrong; with --wait 3 if the agent rejected the file or rolled it back, 4 if it ended or gave no result
in time.

Examples:
  meltwatch reload
  meltwatch reload --wait && echo in force
  meltwatch reload --wait --timeout 2m --json`
}

// Run checks the file and makes the running agent read it again.
func (r reloadCommand) Run(ctx context.Context, o outside) error {
	if r.Timeout < 0 {
		return fmt.Errorf("--timeout: %s is invalid: set it above 0, such as 2m", r.Timeout)
	}
	text, err := config.Text(r.Config)
	if err != nil {
		return err
	}
	c, err := config.Parse(text)
	if err != nil {
		return fmt.Errorf("config %s:\n%w", r.Config, err)
	}
	pid, err := runningAgent(c.Paths.State)
	if err != nil {
		return err
	}
	w := reloadWait{files: durable.Folder(filepath.Join(c.Paths.State, "remote")), state: c.Paths.State, pid: pid, file: remote.FileSum(text)}
	if r.Wait || r.JSON {
		if w.before, err = remote.LastReload(w.files); err != nil {
			return err
		}
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	if !r.Wait && !r.JSON {
		_, err = fmt.Fprintf(o.out, "signalled process %d; its log, the topic config/reported and meltctl report the result\n", pid)
		return err
	}
	w.timeout = r.Timeout
	if w.timeout == 0 {
		w.timeout = remote.ReloadTakes(c.Remote.Deadline)
	}
	report, err := w.result(ctx)
	if err != nil {
		return err
	}
	return r.print(o, report)
}

// print writes the result; the error is one of the file.
func (r reloadCommand) print(o outside, report message.ConfigReport) error {
	if r.JSON {
		out := json.NewEncoder(o.out)
		out.SetIndent("", "  ")
		if err := out.Encode(report); err != nil {
			return err
		}
	}
	if report.Status == message.Applied {
		if r.JSON {
			return nil
		}
		_, err := fmt.Fprintln(o.out, "applied")
		return err
	}
	text := "rejected; the configuration before stays in force"
	if report.Status == message.RolledBack {
		text = "rolled back to the configuration before"
	}
	for _, f := range report.Errors {
		text += "\n  " + strings.TrimPrefix(f.Key+": "+f.Message, ": ")
	}
	return commandline.Status{Exit: exitRefused, Err: errors.New(text)}
}

// reloadWait waits for the result of one reload.
type reloadWait struct {
	files   durable.Files
	state   string // the folder
	pid     int
	file    string // the sum of its content
	before  remote.Reloaded
	timeout time.Duration
}

// result waits for a result that is newer than the one before and concerns this content
// of the file.
func (w reloadWait) result(ctx context.Context) (message.ConfigReport, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		// The agent replaces the file as a whole, so an error stays an error.
		last, err := remote.LastReload(w.files)
		if err != nil {
			return message.ConfigReport{}, err
		}
		unread := last.File == remote.FileSum(nil)
		if !last.Report.Time.Equal(w.before.Report.Time) && (last.File == w.file || unread) {
			return last.Report, nil
		}
		if pid, err := runningAgent(w.state); err != nil || pid != w.pid {
			return message.ConfigReport{}, commandline.Status{Exit: exitSilent, Err: fmt.Errorf("process %d has ended without a result; see journalctl -u meltwatch", w.pid)}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return message.ConfigReport{}, commandline.Status{Exit: exitSilent, Err: fmt.Errorf("no result within %s (--timeout): the agent goes on; its log and the topic config/reported tell the result", w.timeout)}
			}
			return message.ConfigReport{}, ctx.Err()
		}
	}
}

// runningAgent returns the process id of the agent with a state folder. It checks that
// the process is an agent.
func runningAgent(folder string) (int, error) {
	text, err := os.ReadFile(pidFile(folder))
	if err != nil {
		return 0, fmt.Errorf("no agent runs with paths.state %s: %w", folder, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s contains an invalid process id: restart the agent", pidFile(folder))
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || strings.TrimSpace(string(name)) != "meltwatch" {
		return 0, fmt.Errorf("process %d, which ran with paths.state %s, has ended: start the agent", pid, folder)
	}
	return pid, nil
}

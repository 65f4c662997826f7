package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"meltwatch/config"
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

type reloadCommand struct{ configFlag }

// Run checks the file and makes the running agent read it again.
func (r reloadCommand) Run(o outside) error {
	c, err := config.Read(r.Config)
	if err != nil {
		return err
	}
	pid, err := runningAgent(c.Paths.State)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	_, err = fmt.Fprintf(o.out, "signalled process %d; its log, the topic config/reported and meltctl report the result\n", pid)
	return err
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

package commandline

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
	"testing"
)

type oven struct {
	Heat       heat       `cmd:"" help:"Heat the oven. Example: oven heat 200"`
	Version    Version    `cmd:"" help:"Print the version."`
	Completion Completion `cmd:"" help:"Print the completion script of a shell."`
}

type heat struct {
	Degrees int    `arg:"" help:"Temperature in °C."`
	Fan     bool   `help:"Use the fan."`
	Log     string `predictor:"file" help:"File to write to."`
}

// Help is wrapped in the source.
func (heat) Help() string {
	return "The oven is heated until it is\nas hot as wanted.\n\nExamples:\n  oven heat 200\n  oven heat 250"
}

var errTooHot = errors.New("more than 300 °C\x1b[31m: choose less")

var errMelted = errors.New("the oven has melted")

func (h heat) Run(_ context.Context, out io.Writer) error {
	if h.Degrees > 1000 {
		return fmt.Errorf("heat: %w", Status{5, errMelted})
	}
	if h.Degrees > 300 {
		return errTooHot
	}
	_, err := fmt.Fprintln(out, "heated to", h.Degrees)
	return err
}

// The test binary is the program when OVEN is set.
func TestMain(m *testing.M) {
	if os.Getenv("OVEN") != "" {
		var o oven
		Main(Program{
			Name: "oven", Version: "1.2.3", Description: "An oven.\n\nExamples:\n  oven heat 200",
			Printable: func(s string) string { return strings.ReplaceAll(s, "\x1b", "") },
		}, &o)
	}
	os.Exit(m.Run())
}

// call runs the program and returns what it prints and its exit status.
func call(t *testing.T, env []string, arguments ...string) (out, errOut string, status int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], arguments...)
	cmd.Env = append(append(os.Environ(), "OVEN=1"), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func TestAnswersOfACommandLine(t *testing.T) {
	for _, c := range []struct {
		line        string
		out, errOut string // texts that must appear; the other stream must be empty
		status      int
	}{
		{line: "heat 200", out: "heated to 200\n"},
		{line: "heat 400", errOut: "oven: more than 300 °C[31m: choose less\n", status: ExitFailed},
		{line: "heat 2000", errOut: "oven: heat: the oven has melted\n", status: 5},
		{line: "--version", out: "oven 1.2.3\n"},
		{line: "-V", out: "oven 1.2.3\n"},
		{line: "version", out: "oven 1.2.3\n"},
		{line: "heat -V", out: "oven 1.2.3\n"},
		{line: "--help", out: "heat <degrees>"},
		{line: "heat --help", out: "Temperature in °C."},
		{line: "", errOut: "heat <degrees>", status: ExitInvalid},
		{line: "--nope", errOut: "oven: unknown flag --nope; see oven --help\n", status: ExitInvalid},
		{line: "heat 200 --nope", errOut: "oven: unknown flag --nope; see oven heat --help\n", status: ExitInvalid},
		{line: "heat hot", errOut: "see oven heat --help\n", status: ExitInvalid},
		{line: "heat", errOut: "see oven heat --help\n", status: ExitInvalid},
		{line: "cool", errOut: "see oven --help\n", status: ExitInvalid},
		{line: "completion csh", errOut: "see oven completion --help\n", status: ExitInvalid},
	} {
		out, errOut, status := call(t, nil, strings.Fields(c.line)...)
		if status != c.status {
			t.Errorf("oven %s: exit status %d, want %d", c.line, status, c.status)
		}
		for stream, texts := range map[string][2]string{"output": {out, c.out}, "error": {errOut, c.errOut}} {
			if have, want := texts[0], texts[1]; !strings.Contains(have, want) || want == "" && have != "" {
				t.Errorf("oven %s: standard %s is %q, want %q", c.line, stream, have, want)
			}
		}
		if c.status != 0 && c.line != "" && strings.Count(errOut, "\n") != 1 {
			t.Errorf("oven %s: the error has more than one line: %q", c.line, errOut)
		}
	}
}

func TestManualPageNamesEveryCommandAndFlag(t *testing.T) {
	page, _, status := call(t, nil, "--man")
	if status != ExitOK {
		t.Fatalf("exit status %d", status)
	}
	for _, want := range []string{".TH OVEN 1", "heat", "fan", "oven heat 200"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	for _, line := range []string{"The oven is heated until it is as hot as wanted\\&.", "  oven heat 250"} {
		if !strings.Contains(page, "\n"+line+"\n") {
			t.Errorf("the page lacks the line %q:\n%s", line, page)
		}
	}
	if man, err := exec.LookPath("man"); err == nil {
		cmd := exec.Command(man, "--warnings", "-l", "-")
		cmd.Stdin = strings.NewReader(page)
		var faults bytes.Buffer
		cmd.Stderr = &faults
		if _, err := cmd.Output(); err != nil || faults.Len() > 0 {
			t.Errorf("man: %v %s", err, faults.String())
		}
	}
}

func TestCandidatesOfACompletion(t *testing.T) {
	for line, want := range map[string]string{
		"oven ": "completion heat version", "oven he": "heat", "oven heat --f": "--fan", "oven completion ": "bash fish zsh",
	} {
		out, _, _ := call(t, []string{"COMP_LINE=" + line, fmt.Sprint("COMP_POINT=", len(line))})
		have := strings.Fields(out)
		for _, w := range strings.Fields(want) {
			if !strings.Contains(" "+strings.Join(have, " ")+" ", " "+w+" ") {
				t.Errorf("%q: candidates %q lack %s", line, have, w)
			}
		}
	}
}

// Every script is valid in its shell, and bash completes with it.
func TestScriptsOfCompletion(t *testing.T) {
	for shell, check := range map[string][]string{
		"bash": {"-c", `source /dev/stdin; complete -p oven; ` +
			`COMP_LINE="oven he" COMP_POINT=7 OVEN=1 "$0"`, os.Args[0]},
		"zsh":  {"-n", "/dev/stdin"},
		"fish": {"-n", "/dev/stdin"},
	} {
		script, _, status := call(t, nil, "completion", shell)
		if status != ExitOK || !strings.Contains(script, os.Args[0]) {
			t.Errorf("%s: exit status %d, script %q", shell, status, script)
		}
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("%s is not installed: its script was not run", shell)
			continue
		}
		cmd := exec.Command(shell, check...)
		cmd.Stdin = strings.NewReader(script)
		out, err := cmd.CombinedOutput()
		if err != nil || shell == "bash" && !strings.HasSuffix(string(out), "heat\n") {
			t.Errorf("%s: %v %s", shell, err, out)
		}
	}
}

// Under systemd the error is an error in the journal too.
func TestErrorInTheJournalHasItsPriority(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(write.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "heat", "400")
	cmd.Env = append(os.Environ(), "OVEN=1", fmt.Sprintf("JOURNAL_STREAM=%d:%d", stat.Dev, stat.Ino))
	cmd.Stderr = write
	err = cmd.Run()
	write.Close()
	text, readErr := io.ReadAll(read)
	if err == nil || readErr != nil || !strings.HasPrefix(string(text), "<3>oven: more than") {
		t.Errorf("%v %v %q", err, readErr, text)
	}
}

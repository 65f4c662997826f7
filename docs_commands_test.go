package meltwatch

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"meltwatch/docs/pagestest"
)

// debian holds the programs that Debian or the shell has, with the reason why no test of
// this repository runs the pages' commands of them.
var debian = map[string]string{
	"apt": "changes the machine; scripts/package_test.py installs the packages by it", "apt-get": "changes the machine",
	"systemctl": "needs systemd as the first process", "journalctl": "needs systemd's journal",
	"timedatectl": "changes the machine's clock", "install": "writes into /etc as root",
	"mosquitto_passwd": "asks for a password; TestMosquittoWithPassword sets a broker up",
	"mosquitto_sub":    "needs the reader's broker; TestMosquittoWithPassword subscribes by it",
	"ffmpeg":           "needs the reader's film", "promtool": "agent/metrics runs it",
	"editor": "waits for a person", "man": "a pager", "tar": "reads the reader's archive",
	"ssh": "needs the reader's box", "systemd-run": "needs systemd as the first process", "podman": "needs a container engine", "jq": "a filter", "dpkg": "reads the machine's packages",
	"cp": "a file of the reader's", "mv": "a file of the reader's", "echo": "of the shell", "mkdir": "a folder of the reader's", "rsync": "needs the reader's box",
	"source": "of the shell", "export": "of the shell", "eval": "of the shell", "chown": "needs root", "chmod": "needs root",
}

// ours are the programs whose parsers read the pages' commands, in their own folders.
var ours = []string{"meltwatch", "meltctl", "furnace-sim", "bench"}

// Each command of a page is parsed by its program, checked here, or listed with a reason.
func TestCommandsOfThePagesAreKnown(t *testing.T) {
	for _, program := range ours {
		text, err := os.ReadFile(filepath.Join("cmd", program, "documents_test.go"))
		if err != nil || !strings.Contains(string(text), `pagestest.Parses(t, "../..", "`+program+`"`) {
			t.Errorf("cmd/%s does not parse the pages' commands: %v", program, err)
		}
	}
	for _, page := range currentPages(t) {
		commands := page.Commands()
		for _, program := range []string{"make", "go", "python"} {
			commands = append(commands, page.Inline(program)...)
		}
		for _, c := range commands {
			if fault := unknownCommand(c); fault != "" {
				t.Errorf("%s:%d: %s: %s", page.Path, c.Line, c.Text(), fault)
			}
		}
	}
}

// unknownCommand returns why a command cannot work, or nothing.
func unknownCommand(c pagestest.Command) string {
	switch program := c.Program(); {
	case debian[program] != "" || slices.Contains(ours, program):
		return ""
	case program == "make":
		return unknownTarget(c.Words[1:])
	case program == "go":
		return unknownPackage(c.Words[1:])
	case program == "python":
		return unknownModule(c.Words[1:])
	case strings.Contains(c.Words[0], "/"):
		if _, err := os.Stat(c.Words[0]); err != nil {
			return "the file is missing"
		}
		return ""
	default:
		return "unknown program: let a test run it, or say in docs_commands_test.go why not"
	}
}

// unknownTarget checks make's targets against the Makefile, and variables against it and
// the scripts that it runs.
func unknownTarget(arguments []string) string {
	text, err := os.ReadFile("Makefile")
	if err != nil {
		return err.Error()
	}
	// Scripts read variables that make hands on to them by environment.
	scripts, err := filepath.Glob("scripts/*.sh")
	if err != nil {
		return err.Error()
	}
	variables := text
	for _, name := range scripts {
		script, err := os.ReadFile(name)
		if err != nil {
			return err.Error()
		}
		variables = append(variables, script...)
	}
	for _, word := range arguments {
		name, _, isVariable := strings.Cut(word, "=")
		switch {
		case strings.HasPrefix(word, "-"):
		case isVariable && !regexp.MustCompile(`\b`+regexp.QuoteMeta(name)+`\b`).Match(variables):
			return "neither the Makefile nor a script reads the variable " + name
		case !isVariable && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(word)+`:`).Match(text):
			return "the Makefile has no target " + word
		}
	}
	return ""
}

// unknownPackage checks that the folders named to go exist.
func unknownPackage(arguments []string) string {
	for _, word := range arguments {
		if !strings.HasPrefix(word, "./") || word == "./..." {
			continue
		}
		if found, err := filepath.Glob(filepath.Join(word, "*.go")); err != nil || len(found) == 0 {
			return "no package in " + word
		}
	}
	return ""
}

// unknownModule checks that the module of python -m exists and defines the flags. Running
// it would load TensorFlow; its own tests do.
func unknownModule(arguments []string) string {
	if len(arguments) < 2 || arguments[0] != "-m" || !strings.HasPrefix(arguments[1], "inference.") {
		return "" // a line of Python, or a module of Debian or the venv
	}
	path := strings.ReplaceAll(arguments[1], ".", "/") + ".py"
	text, err := os.ReadFile(path)
	if err != nil {
		return "no module " + arguments[1]
	}
	// The command's module hands on to the one with the flags.
	if found := regexp.MustCompile(`from \.(\S+) import main`).FindSubmatch(text); found != nil {
		path = filepath.Join(filepath.Dir(path), strings.ReplaceAll(string(found[1]), ".", "/")+".py")
		if text, err = os.ReadFile(path); err != nil {
			return err.Error()
		}
	}
	given := map[string]bool{}
	for _, word := range arguments[2:] {
		flag, _, _ := strings.Cut(word, "=")
		if !strings.HasPrefix(flag, "--") {
			continue
		}
		given[flag] = true
		if !strings.Contains(string(text), `add_argument("`+flag+`"`) {
			return path + " does not define " + flag
		}
	}
	if len(given) == 0 {
		return ""
	}
	for _, found := range regexp.MustCompile(`add_argument\("(--[a-z-]+)"[^\n]*required=True`).FindAllSubmatch(text, -1) {
		if !given[string(found[1])] {
			return path + " requires " + string(found[1])
		}
	}
	return ""
}

// What a page must not say is found.
func TestUnknownCommandsAreFound(t *testing.T) {
	for text, fault := range map[string]bool{
		"make demo DEMO_SECONDS=120": false, "make -s env": false, "make demonstrate": true, "make demo LENGTH=3": true,
		"meltwatch check": false, "meltwach check": true, "scripts/test.sh": false, "scripts/tests.sh": true,
		"go test ./agent/state": false, "go test ./agent/states": true,
		"python -m inference.train.train --data a --run b": false, "python -m inference.train.train --data a --runs b": true,
		"python -m inference.train.train --data a": true, "python -m inference.train.trains": true,
	} {
		if got := unknownCommand(pagestest.Split(text, 1)[0]); (got != "") != fault {
			t.Errorf("%s: %q", text, got)
		}
	}
}

// The quick start in Chinese has the commands of the English pages, word for word.
func TestChineseQuickStartHasTheEnglishCommands(t *testing.T) {
	english := map[string]bool{}
	var chinese []pagestest.Command
	for _, page := range currentPages(t) {
		if page.Path == "docs/quick-start.zh.md" {
			chinese = page.Commands()
			continue
		}
		commands := append(page.Commands(), page.Inline("ssh")...)
		for _, program := range ours {
			commands = append(commands, page.Inline(program)...)
		}
		for _, c := range commands {
			english[c.Text()] = true
		}
	}
	if len(chinese) < 8 {
		t.Errorf("only %d commands found", len(chinese))
	}
	for _, c := range chinese {
		if !english[c.Text()] {
			t.Errorf("docs/quick-start.zh.md:%d: no English page has %s", c.Line, c.Text())
		}
	}
}

package check

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// occupied opens an address until the test ends.
func occupied(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

func badPages() []broken {
	page := func(section string) func(*testing.T, plant, *box) {
		return func(_ *testing.T, _ plant, b *box) { b.web += ", " + section }
	}
	holds := func(text string) func(*testing.T, plant, *box) {
		return func(t *testing.T, p plant, b *box) {
			file := filepath.Join(t.TempDir(), "page.hash")
			write(t, file, text)
			page("password_file: "+file)(t, p, b)
		}
	}
	return []broken{
		{"password file missing", page("password_file: /nonexistent/page.hash"), "web", "web.password_file", []string{"no such file", "create the file"}},
		{"a password for its hash", holds("meltwatch\n"), "web", "web.password_file", []string{"does not hold a hash", "meltwatch password"}},
		{"an empty password file", holds(""), "web", "web.password_file", []string{"does not hold a hash", "meltwatch password"}},
		{"a folder for the password file", page("password_file: /tmp"), "web", "web.password_file", []string{"not a regular file"}},
		{"credential without systemd", func(t *testing.T, p plant, b *box) {
			t.Setenv("CREDENTIALS_DIRECTORY", "")
			page("password_file: page")(t, p, b)
		}, "web", "web.password_file", []string{"systemd-run --pipe --wait -p LoadCredential=page:FILE meltwatch check"}},
		{"port in use", func(t *testing.T, _ plant, b *box) { b.web = "listen: " + quoted(occupied(t)) }, "web", "web.listen", []string{"address already in use", "set another port"}},
		{"port in use by another program than the agent", func(t *testing.T, _ plant, b *box) {
			b.web = "listen: " + quoted(occupied(t))
			b.noted(t, strconv.Itoa(other(t)))
		}, "web", "web.listen", []string{"address already in use", "set another port"}},
		{"port in use and an old note of an agent", func(t *testing.T, _ plant, b *box) {
			b.web = "listen: " + quoted(occupied(t))
			b.noted(t, "not a number")
		}, "web", "web.listen", []string{"address already in use", "set another port"}},
		{"address of another machine", func(_ *testing.T, _ plant, b *box) {
			b.metrics = `listen: "192.0.2.1:9469"`
		}, "metrics", "metrics.listen", []string{"cannot assign requested address", "does not have the address"}},
		{"metrics' port in use", func(t *testing.T, _ plant, b *box) { b.metrics = "listen: " + quoted(occupied(t)) }, "metrics", "metrics.listen", []string{"address already in use", "set another port"}},
		{"page and metrics at one address", func(_ *testing.T, _ plant, b *box) { b.metrics = b.web }, "metrics", "metrics.listen", []string{"web.listen", "set another port"}},
	}
}

func badRecordings() []broken {
	at := func(folder string) func(*testing.T, plant, *box) {
		return func(_ *testing.T, _ plant, b *box) { b.paths += ", recordings: " + folder }
	}
	return []broken{
		{"cannot be created", at("/proc/meltwatch"), "recordings", "paths.recordings", []string{"/proc/meltwatch cannot be written"}},
		{"a file for the folder", func(t *testing.T, p plant, b *box) {
			file := filepath.Join(t.TempDir(), "file")
			write(t, file, "")
			at(file)(t, p, b)
		}, "recordings", "paths.recordings", []string{"is a file", "name a folder"}},
	}
}

// noted writes the note of a running agent.
func (b *box) noted(t *testing.T, pid string) {
	t.Helper()
	if err := os.MkdirAll(b.folder, 0o750); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(b.folder, "pid"), pid+"\n")
}

// other starts a process that listens nowhere.
func other(t *testing.T) (pid int) {
	t.Helper()
	sleeper := exec.Command("sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = sleeper.Process.Kill()
		_ = sleeper.Wait() // killed, and says so
	})
	return sleeper.Process.Pid
}

// What the running agent itself has open is not a fault.
func TestAddressesOfTheRunningAgent(t *testing.T) {
	p := newPlant(t)
	b := p.sound(t)
	b.web, b.metrics = "listen: "+quoted(occupied(t)), "listen: "+quoted(occupied(t))
	b.noted(t, strconv.Itoa(os.Getpid()))
	lines, ok := b.check(t, "web", "metrics")
	if !ok || len(lines) != 2 {
		t.Fatalf("%v %+v", ok, lines)
	}
	for _, l := range lines {
		if l.Status != OK || !strings.Contains(l.Detail, "open by the running agent, process "+strconv.Itoa(os.Getpid())) {
			t.Errorf("%+v", l)
		}
	}
}

// A port that only root may open has a remedy other than the rights on a file.
func TestRemedyOfAPortForRoot(t *testing.T) {
	err := fmt.Errorf("web.listen: %w", &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", unix.EACCES)})
	if does := remedy(err); !strings.Contains(does, "under 1024") {
		t.Errorf("%v: %q", err, does)
	}
	if does := remedy(&os.PathError{Op: "open", Path: "x", Err: unix.EACCES}); !strings.Contains(does, "chown") {
		t.Errorf("a file: %q", does)
	}
}

// What is not configured is skipped, and little room for recordings is a warning, with the
// reason.
func TestPageMetricsAndRecordingsThatAreNotFaults(t *testing.T) {
	p := newPlant(t)
	const gb = 1_000_000_000 / 4096
	for name, c := range map[string]struct {
		breaks func(*box)
		want   Line
		says   string
	}{
		"no page":             {func(b *box) { b.web = `listen: ""` }, Line{Check: "web", Status: Skip}, "web.listen is empty"},
		"no metrics":          {func(b *box) { b.metrics = "" }, Line{Check: "metrics", Status: Skip}, "metrics.listen is empty"},
		"nothing is recorded": {func(b *box) { b.more = ", recorder: {enabled: false}" }, Line{Check: "recordings", Status: Skip}, "recorder.enabled is false"},
		"little room": {func(b *box) {
			b.more = ", recorder: {min_free_mb: 9000}"
			b.change = func(k *checker) {
				k.space = func(string) (unix.Statfs_t, error) { return unix.Statfs_t{Bsize: 4096, Bavail: 8 * gb}, nil }
			}
		}, Line{Check: "recordings", Status: Warn, Key: "recorder.min_free_mb"}, "9000 MB must stay free"},
	} {
		t.Run(name, func(t *testing.T) {
			b := p.sound(t)
			c.breaks(b)
			lines, ok := b.check(t, c.want.Check)
			if !ok || len(lines) != 1 || lines[0].Status != c.want.Status || lines[0].Key != c.want.Key || !strings.Contains(lines[0].Detail, c.says) {
				t.Errorf("%v %+v", ok, lines)
			}
		})
	}
}

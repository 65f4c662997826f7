package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/sys/unix"

	"meltwatch/simulator/broker"
)

const unitFile = "../systemd/meltwatch.service"

// unitSettings returns the unit's values by name, in order.
func unitSettings(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			settings[name] = append(settings[name], value)
		}
	}
	return settings
}

// systemdGroups returns the groups of system calls of the installed systemd.
func systemdGroups(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("systemd-analyze", "syscall-filter").Output()
	if err != nil {
		t.Skipf("systemd-analyze is missing: %v; run make deps", err)
	}
	groups, name := map[string][]string{}, ""
	for line := range strings.Lines(string(out)) {
		word := strings.TrimSpace(line)
		switch {
		case word == "" || strings.HasPrefix(word, "#"):
		case word == line[:len(line)-1]: // not indented
			name = word
		default:
			groups[name] = append(groups[name], word)
		}
	}
	return groups
}

// allowedCalls resolves SystemCallFilter= as in systemd.exec(5): the first line lists
// the allowed calls, further ones add to the list or, with ~, remove from it.
func allowedCalls(t *testing.T, lines []string) []string {
	t.Helper()
	groups := systemdGroups(t)
	var expand func(name string) []string
	expand = func(name string) []string {
		if !strings.HasPrefix(name, "@") {
			return []string{name}
		}
		var calls []string
		for _, member := range groups[name] {
			calls = append(calls, expand(member)...)
		}
		return calls
	}
	allowed := map[string]bool{}
	for _, line := range lines {
		taken := strings.HasPrefix(line, "~")
		for _, name := range strings.Fields(strings.TrimPrefix(line, "~")) {
			for _, call := range expand(name) {
				allowed[call] = !taken
			}
		}
	}
	for _, call := range expand("@default") { // an allow list always includes it
		allowed[call] = true
	}
	known, err := arch.GetInfo(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	for call, ok := range allowed {
		if _, exists := known.SyscallNames[call]; ok && exists {
			calls = append(calls, call)
		}
	}
	slices.Sort(calls)
	return calls
}

// underFilter is the name under which this test program installs a filter and runs the
// rest of its command line.
const underFilter = "meltwatch-under-filter"

// filterVariable holds the allowed system calls; filterAdjtimex reads the clock's state
// instead of running a program.
const (
	filterVariable = "MELTWATCH_TEST_CALLS"
	filterAdjtimex = "adjtimex"
)

func runUnderFilter(command []string) {
	families := seccomp.NameWithConditions{Name: "socket"}
	calls := strings.Fields(os.Getenv(filterVariable))
	group := seccomp.SyscallGroup{Action: seccomp.ActionAllow}
	for _, call := range calls {
		if call != "socket" {
			group.Names = append(group.Names, call)
		}
	}
	for _, family := range []uint64{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6} { // RestrictAddressFamilies=
		families.Conditions = seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: family}}
		group.NamesWithCondtions = append(group.NamesWithCondtions, families)
	}
	err := seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true, Flag: seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: []seccomp.SyscallGroup{group}},
	})
	if err == nil && command[0] == filterAdjtimex {
		_, err = unix.Adjtimex(&unix.Timex{})
	} else if err == nil {
		err = syscall.Exec(command[0], command, os.Environ())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// filtered returns a command that runs under the unit's list of system calls.
func filtered(t *testing.T, calls []string, command ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, command...)
	cmd.Args[0] = underFilter
	cmd.Env = append(os.Environ(), filterVariable+"="+strings.Join(calls, " "))
	return cmd
}

// The clock may be read but not set. ProtectClock=yes denies both.
func TestClockCanBeReadUnderTheUnitsFilter(t *testing.T) {
	lines := unitSettings(t)["SystemCallFilter"]
	calls := allowedCalls(t, lines)
	if out, err := filtered(t, calls, filterAdjtimex).CombinedOutput(); err != nil {
		t.Errorf("adjtimex under the unit: %v: %s", err, out)
	}
	for _, call := range []string{"clock_settime", "settimeofday", "mount", "init_module", "reboot", "ptrace"} {
		if slices.Contains(calls, call) {
			t.Errorf("the unit allows %s", call)
		}
	}
	without := allowedCalls(t, append(slices.Clone(lines), "~@clock")) // as ProtectClock= does
	if out, err := filtered(t, without, filterAdjtimex).CombinedOutput(); err == nil {
		t.Errorf("the filter denies nothing: %s", out)
	}
}

// A serial meter is opened for reading and writing, so the unit's list of devices must
// contain it.
func TestUnitAllowsSerialDevices(t *testing.T) {
	unit := unitSettings(t)
	if slices.Contains(unit["ProtectClock"], "yes") {
		t.Error("ProtectClock=yes closes the list of devices, and denies adjtimex")
	}
	for _, device := range []string{"char-ttyS rw", "char-ttyUSB rw", "char-ttyACM rw", "char-ttyAMA rw"} {
		if !slices.Contains(unit["DeviceAllow"], device) {
			t.Errorf("DeviceAllow=%s is missing", device)
		}
	}
	if got := unit["OOMPolicy"]; !slices.Equal(got, []string{"continue"}) {
		t.Errorf("OOMPolicy=%v: the camera's process may end the agent", got)
	}
}

func TestSystemdFindsNoFaultInTheUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skipf("%v; run make deps", err)
	}
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	// The program is not installed on this machine.
	unit := filepath.Join(t.TempDir(), "meltwatch.service")
	writeFile(t, unit, strings.Replace(string(text), "/usr/bin/meltwatch ", "/bin/true ", 1), 0o644)
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "meltwatch.service") {
		t.Errorf("%v: %s", err, out)
	}
}

// systemd's judgement of the unit stays low, and docs/security.md gives the reason for each
// line that it marks.
func TestSystemdJudgesTheUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skipf("%v; run make deps", err)
	}
	page, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", unitFile).CombinedOutput()
	if err != nil {
		t.Fatalf("more than 2.0: %v: %s", err, out)
	}
	marked := 0
	for line := range strings.Lines(string(out)) {
		mark, rest, _ := strings.Cut(line, " ")
		if mark != "✗" {
			continue
		}
		marked++
		name := strings.Fields(rest)[0]
		if !strings.Contains(string(page), "`"+strings.ReplaceAll(name, "|", `\|`)+"`") {
			t.Errorf("docs/security.md does not explain %s", name)
		}
	}
	if marked == 0 {
		t.Errorf("nothing is marked: %s", out)
	}
}

// All three programs work under the unit's system calls and address families: samples,
// pictures and verdicts of the model reach the broker.
func TestAgentWorksUnderTheUnitsFilter(t *testing.T) {
	long(t)
	programs := needPrograms(t)
	calls := allowedCalls(t, unitSettings(t)["SystemCallFilter"])
	server, url, err := broker.Local()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	type heard struct {
		Source string
		Senses struct{ Current, Video string }
	}
	states := make(chan heard, 100)
	if err := server.Subscribe("meltwatch/test/f1/state", 1, func(_ *mochi.Client, _ packets.Subscription, m packets.Packet) {
		var s heard
		if err := json.Unmarshal(m.Payload, &s); err != nil {
			t.Error(err)
		}
		select {
		case states <- s:
		default:
		}
	}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "meltwatch.yaml")
	writeFile(t, file, document(t, startSim(t), url), 0o600)
	cmd := filtered(t, calls, filepath.Join(programs, "meltwatch"), "run", "--config", file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var last heard
	for limit := time.After(60 * time.Second); last.Source != "model" || last.Senses.Current != "ok" || last.Senses.Video != "ok"; {
		select {
		case last = <-states:
			continue
		case <-limit:
			t.Errorf("the last state of a minute: %+v", last)
		}
		break
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || t.Failed() {
		t.Errorf("agent: %v\n%s", err, stderr.String())
	}
}

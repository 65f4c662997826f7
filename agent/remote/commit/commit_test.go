package commit

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"meltwatch/agent/message"
	"meltwatch/durable"
)

func open(t *testing.T, folder, boot string) *Journal[string] {
	t.Helper()
	j, err := Open[string](durable.Folder(folder), "journal.json", boot)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestVersionSettlesOnceShownAndLived(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "not", "yet", "there")
	j := open(t, folder, "boot")
	must(t, j.Stage("new", "old"), j.Show())
	if good, _ := j.Good(); good != "old" {
		t.Fatalf("good is %q before the minute is over", good)
	}
	must(t, j.Lived())
	j = open(t, folder, "boot")
	if good, _ := j.Good(); good != "new" {
		t.Errorf("good is %q", good)
	}
	if _, ok := j.Trial(); ok {
		t.Error("still on trial")
	}
}

func TestThirdDeathRefuses(t *testing.T) {
	folder := t.TempDir()
	j := open(t, folder, "boot")
	must(t, j.Stage("new", "old"), j.Show())
	for death := 1; death <= Deaths; death++ {
		j = open(t, folder, "boot")
		died, err := j.Started()
		must(t, err)
		if died != (death == Deaths) {
			t.Fatalf("refused after %d deaths: %v", death, died)
		}
	}
	j = open(t, folder, "boot")
	refused, ok := j.Refused()
	if good, _ := j.Good(); good != "old" || !ok || refused.Version != "new" || len(refused.Faults) != 1 {
		t.Errorf("good %q, refused %+v", good, refused)
	}
}

// The last refusal of each kind is remembered, over restarts too.
func TestLastRefusalOfEachKindIsRemembered(t *testing.T) {
	folder := t.TempDir()
	start := func() *Journal[string] {
		j := open(t, folder, "boot")
		j.Kind = func(_, v string) string { return string(v[0] & 0x70) } // digits, letters
		return j
	}
	want := func(names ...string) {
		t.Helper()
		var have []string
		for _, r := range start().Refusals() {
			have = append(have, r.Version)
		}
		if !slices.Equal(have, names) {
			t.Errorf("refused %v, want %v", have, names)
		}
	}
	j := start()
	must(t, j.Stage("a", "old"), j.Refuse(true))
	want("a")
	must(t, j.Stage("1st", "old"), j.Refuse(false))
	want("1st", "a")
	must(t, j.Stage("1nd", "old"))
	for range Deaths {
		j = start()
		_, err := j.Started()
		must(t, err)
	}
	want("1nd", "a")
	must(t, j.Stage("1rd", "old"), j.Withdraw(), j.Accept("1th"), j.Stage("b", "1th"), j.Show(), j.Lived())
	want("1nd", "a")
	must(t, start().Reject("c"))
	want("c", "1nd")
	must(t, start().Reject("c"))
	want("c", "1nd")
}

func TestPowerCutsPlannedEndsAndLateDeathsDoNotCount(t *testing.T) {
	folder := t.TempDir()
	must(t, open(t, folder, "boot 0").Stage("new", "old"))
	boot := "boot 0"
	start := func() *Journal[string] {
		j := open(t, folder, boot)
		died, err := j.Started()
		must(t, err)
		if died {
			t.Fatal("refused")
		}
		return j
	}
	for range 5 { // power fails
		boot += "'"
		start()
	}
	boot += "'"
	for range 5 { // stopped, as by systemctl
		must(t, start().Ended())
	}
	for range 5 { // dies after its minute, parts not shown yet
		must(t, start().Lived())
	}
	if trial, _ := start().Trial(); trial.Deaths != 0 {
		t.Errorf("%d deaths counted", trial.Deaths)
	}
}

func TestDamagedJournalIsAnErrorAndEmpty(t *testing.T) {
	folder := t.TempDir()
	must(t, open(t, folder, "boot").Stage("new", "old"), os.WriteFile(filepath.Join(folder, "journal.json"), []byte(`{"good": 1`), 0o600))
	j, err := Open[string](durable.Folder(folder), "journal.json", "boot")
	if err == nil {
		t.Error("no error")
	}
	if _, ok := j.Good(); ok {
		t.Error("something is good")
	}
	must(t, j.Stage("next", "old")) // it can be overwritten
}

// failing refuses to write.
type failing struct{ durable.Files }

func (failing) Create(string) (durable.File, error) { return nil, syscall.ENOSPC }

func TestDiskThatRefusesChangesNothingButARefusal(t *testing.T) {
	folder := durable.Folder(t.TempDir())
	j, err := Open[string](failing{folder}, "journal.json", "boot")
	must(t, err)
	if err := j.Stage("new", "old"); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v", err)
	}
	if _, ok := j.Trial(); ok {
		t.Fatal("on trial although it could not be recorded")
	}
	well, err := Open[string](folder, "journal.json", "boot")
	must(t, err, well.Stage("new", "old"))
	well.files = failing{folder}
	if err := well.Refuse(true, message.Fault{Key: "camera", Message: "no frame"}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v", err)
	}
	if _, ok := well.Trial(); ok {
		t.Error("refused, and still on trial")
	}
}

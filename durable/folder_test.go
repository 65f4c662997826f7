package durable_test

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"meltwatch/durable"
	"meltwatch/durable/crashfs"
)

func TestFilesAreReplacedWholeUnderPowerCuts(t *testing.T) {
	for cut := 0; ; cut++ {
		for seed := range uint64(20) {
			d := crashfs.New(-1)
			if err := durable.Replace(d, "journal", []byte("old content")); err != nil {
				t.Fatal(err)
			}
			d.CutIn(cut)
			err := durable.Replace(d, "journal", []byte("new"))
			next := d.After(rand.New(rand.NewPCG(seed, 1)), 0.5)
			text, readErr := durable.ReadFile(next, "journal")
			if readErr != nil || string(text) != "new" && (err == nil || string(text) != "old content") {
				t.Fatalf("power cut at operation %d: %q, %v; Replace returned %v", cut, text, readErr, err)
			}
			if err == nil {
				return // the cut is after the last operation
			}
		}
	}
}

func TestFolderIsCreatedAtTheFirstWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "not", "yet", "there")
	if _, err := durable.ReadFile(durable.Folder(filepath.Dir(path)), "there"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	for _, text := range []string{"first", "second"} {
		if err := durable.WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if have, err := os.ReadFile(path); err != nil || string(have) != text {
			t.Errorf("%q, %v", have, err)
		}
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("files beside it: %v, %v", left, err)
	}
}

func TestFolderIsLockedOnce(t *testing.T) {
	folder := durable.Folder(filepath.Join(t.TempDir(), "outbox"))
	first, err := folder.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Lock(); err == nil {
		t.Error("locked twice")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := folder.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

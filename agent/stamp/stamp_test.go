package stamp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestBootIsCountedAndADamagedCounterStartsHigher(t *testing.T) {
	folder := t.TempDir()
	for want := uint64(1); want <= 3; want++ {
		s, err := OnHost(folder)
		if err != nil || s.Boot() != want {
			t.Fatalf("boot %d, %v; want %d", s.Boot(), err, want)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "boot"), []byte("\x00\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := OnHost(folder); err != nil || s.Boot() <= 3 {
		t.Fatalf("boot %d after damage, %v; want a higher one", s.Boot(), err)
	}
}

// The folder cannot be created at first, because a file has its name.
func TestBootIsWrittenOnceTheFolderIsWritable(t *testing.T) {
	parent := t.TempDir()
	inTheWay := filepath.Join(parent, "state")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := OnHost(inTheWay)
	if err != nil || first.Boot() < uint64(time.Now().Unix())-60 {
		t.Fatalf("boot %d, %v; want one from the clock", first.Boot(), err)
	}
	if err := first.Save(); err == nil || !strings.Contains(err.Error(), inTheWay) {
		t.Fatalf("got %v, want an error that names the folder", err)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	if err := first.Save(); err != nil {
		t.Fatal(err)
	}
	if second, err := OnHost(inTheWay); err != nil || second.Boot() != first.Boot()+1 {
		t.Fatalf("next boot %d, %v; want %d", second.Boot(), err, first.Boot()+1)
	}
}

func TestStampsOfOneClassAreNumbered(t *testing.T) {
	s, err := OnHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	first, other, second := s.Stamp("state", now), s.Stamp("event", now), s.Stamp("state", now.Add(-time.Second))
	if first.Seq != 1 || other.Seq != 1 || second.Seq != 2 {
		t.Fatalf("seqs %d, %d, %d; want 1, 1, 2", first.Seq, other.Seq, second.Seq)
	}
	if apart := first.MonoMS - second.MonoMS; apart < 950 || apart > 1050 {
		t.Fatalf("stamps of instants 1 s apart differ by %d ms", apart)
	}
}

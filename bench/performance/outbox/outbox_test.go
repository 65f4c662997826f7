package outbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Each store keeps what it was given, and a store that was emptied is counted once.
func TestStoresKeepRecords(t *testing.T) {
	record := make([]byte, 300)
	for name, open := range map[string]func(string) (store, error){"ours": openOurs, "bbolt": openBolt, "raw": openRaw} {
		folder := t.TempDir()
		s, err := open(folder)
		if err != nil {
			t.Fatal(name, err)
		}
		for range 3 {
			if err := s.append(record, group); err != nil {
				t.Fatal(name, err)
			}
		}
		if err := s.close(); err != nil {
			t.Fatal(name, err)
		}
		size := int64(0)
		err = filepath.WalkDir(folder, func(_ string, entry os.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				info, infoErr := entry.Info()
				if err = infoErr; err == nil {
					size += info.Size()
				}
			}
			return err
		})
		if err != nil || size < 3*group*300 {
			t.Errorf("%s: %d bytes on disk, %v", name, size, err)
		}
	}
	if speed, err := drainBolt(filepath.Join(t.TempDir(), "bolt.db"), 2*group+1); err != nil || speed <= 0 {
		t.Errorf("bbolt drains %v records/s, %v", speed, err)
	}
}

// A brief round measures every figure that the tables name.
func TestBriefRoundMeasuresEveryRow(t *testing.T) {
	if testing.Short() {
		t.Skip("a round takes 10 s")
	}
	if _, err := exec.LookPath("mosquitto"); err != nil {
		if _, err := os.Stat("/usr/sbin/mosquitto"); err != nil {
			t.Skip("SKIPPED: mosquitto is not installed")
		}
	}
	measured, err := Options{Folder: t.TempDir(), Brief: true}.Measure(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range Tables() {
		for _, row := range table.Rows {
			for _, name := range []string{row.Ours, row.Peer, row.Limit} {
				if _, ok := measured[name]; name != "" && !ok {
					t.Errorf("%s: %s: %q is not measured", table.Title, row.What, name)
				}
			}
		}
	}
}

package furnace

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"meltwatch/simulator/house/housetest"
)

// normalRecord runs batches at 15 kA through normal work.
func normalRecord(batches int, seconds float64) [3][]float64 {
	var x [3][]float64
	for i := range batches {
		seed := uint64(1000 + i)
		b := NewBatch(seed, seed)
		b.SetPoint = nominal
		f := New(Draw(NormalLife, seconds, seed, seed, seed), b, seed, seed)
		for t := 0.0; t < seconds; t += Period {
			s := f.AdvanceTo(t)
			for p := range x {
				x[p] = append(x[p], float64(s.PLC.Current[p]))
			}
		}
	}
	return x
}

func TestNormalCurrentIsWithinTheRealRecordsSpread(t *testing.T) {
	housetest.NormalWork(t, normalRecord(24, 1800), 0)
}

func TestTheRealRecordIsWithinTheSameSpread(t *testing.T) {
	x, ok := realRecord(t)
	if !ok {
		t.Skip("no shared/data/fmf_currents_2018-12-16.csv above this folder")
	}
	housetest.NormalWork(t, x, 0.15)
}

func realRecord(t *testing.T) (x [3][]float64, ok bool) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		f, err := os.Open(filepath.Join(dir, "shared", "data", "fmf_currents_2018-12-16.csv"))
		if err != nil {
			continue
		}
		defer f.Close()
		rows, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows[1:] {
			for p := range x {
				v, err := strconv.ParseFloat(row[p], 64)
				if err != nil {
					t.Fatal(err)
				}
				x[p] = append(x[p], v)
			}
		}
		return x, true
	}
	return x, false
}

package probe

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"
)

// Among voltages, counters, temperatures and constants alike, the currents come first.
func TestCurrentsRankFirst(t *testing.T) {
	const seeds = 30
	first, setPoints, ofSetPoints, likely := 0, 0, 0, 0
	for form, like := range forms {
		for seed := range uint64(seeds) {
			p := newPlant(seed*100+uint64(form), form)
			found := Infer([]Area{p.area(readings)}, 0)
			if len(found) == 0 || !p.found(found[0]) {
				t.Logf("%s %s ×%g, seed %d: currents at %v of unit %d, function %d; found %v", like.typ, like.order, like.scale, seed, p.currents, p.unit, p.function, found)
				continue
			}
			first++
			if Likely(found) {
				likely++
			}
			if p.setPoint >= 0 {
				ofSetPoints++
				if found[0].SetPoint != nil && found[0].SetPoint.Address == p.setPoint {
					setPoints++
				}
			}
		}
	}
	all := seeds * len(forms)
	t.Logf("of %d maps %d have the currents first, %d of these as likely; of %d set-points %d", all, first, likely, ofSetPoints, setPoints)
	if first < all*98/100 || setPoints < ofSetPoints*95/100 {
		t.Error("want 98 % of the maps and 95 % of the set-points")
	}
}

// Where there are no currents, nothing else is called likely.
func TestNothingElseIsLikely(t *testing.T) {
	const seeds = 30
	named := 0
	for form := range forms {
		for seed := range uint64(seeds) {
			p := newPlant(seed*100+uint64(form), form)
			for i, q := range p.quantities {
				if q.name == "current" { // the arc is out
					p.quantities[i].start, p.quantities[i].move, p.values[i] = 0, constant, 0
				}
			}
			p.write()
			found := Infer([]Area{p.area(readings)}, 0)
			if len(found) > 0 {
				named++
			}
			if Likely(found) {
				t.Errorf("form %d, seed %d: %v is called likely: %v", form, seed, found[0], found[0].Reasons)
			}
		}
	}
	t.Logf("of %d maps without currents %d have a candidate", seeds*len(forms), named)
	if named > seeds*len(forms)/10 {
		t.Error("want a tenth at most")
	}
}

// The phases' currents at four readings, with a spread of some hundredths.
var (
	phaseA = []float64{15_012, 14_420, 15_890, 14_960}
	phaseB = []float64{14_500, 15_260, 14_110, 14_730}
	phaseC = []float64{15_480, 14_890, 15_120, 16_010}
)

func times(series []float64, by float64) []float64 {
	out := slices.Clone(series)
	for i := range out {
		out[i] *= by
	}
	return out
}

func same(v float64) []float64 { return []float64{v, v, v, v} }

func meanOf(all ...[]float64) []float64 {
	out := make([]float64, len(all[0]))
	for _, series := range all {
		for i, v := range series {
			out[i] += v / float64(len(all))
		}
	}
	return out
}

// int16s and floats lay series out as registers in a row; nil is a refused register.
func int16s(all ...[]float64) (words [][]uint16) {
	for _, series := range all {
		var w []uint16
		for _, v := range series {
			w = append(w, uint16(int16(math.Round(v))))
		}
		words = append(words, w)
	}
	return words
}

func floats(all ...[]float64) (words [][]uint16) {
	for _, series := range all {
		var upper, lower []uint16
		for _, v := range series {
			bits := math.Float32bits(float32(v))
			upper, lower = append(upper, uint16(bits>>16)), append(lower, uint16(bits))
		}
		words = append(words, upper, lower)
	}
	return words
}

func TestInfer(t *testing.T) {
	refused := [][]uint16{nil, nil}
	volts := [][]float64{{230.1, 230.4, 230.2, 230.3}, {229.8, 229.9, 229.5, 229.9}, {231, 231.2, 231.1, 230.8}}
	for _, c := range []struct {
		fact     string
		words    [][]uint16
		expected float64
		want     []int // addresses of the phases; nil where nothing is found
		typ      string
		scale    [3]float64
		setPoint int // −1 for none
	}{
		{"integers with their mean behind them", int16s(phaseA, phaseB, phaseC, meanOf(phaseA, phaseB, phaseC), same(15_000)), 0, []int{0, 1, 2}, "int16", [3]float64{1, 1, 1}, 4},
		{"integers with their mean before them", int16s(meanOf(phaseA, phaseB, phaseC), phaseA, phaseB, phaseC, same(15_000)), 0, []int{1, 2, 3}, "int16", [3]float64{1, 1, 1}, 4},
		{"floats with their mean behind them", floats(phaseA, phaseB, phaseC, meanOf(phaseA, phaseB, phaseC)), 0, []int{0, 2, 4}, "float32", [3]float64{1, 1, 1}, -1},
		{"current and voltage in turn", floats(phaseA, volts[0], phaseB, volts[1], phaseC, volts[2], same(15_000)), 0, []int{0, 4, 8}, "float32", [3]float64{1, 1, 1}, 12},
		{"a phase with a reversed transformer", int16s(phaseA, times(phaseB, -1), phaseC), 0, []int{0, 1, 2}, "int16", [3]float64{1, -1, 1}, -1},
		{"kiloamperes", floats(times(phaseA, 0.001), times(phaseB, 0.001), times(phaseC, 0.001), same(15)), 0, []int{0, 2, 4}, "float32", [3]float64{1000, 1000, 1000}, 6},
		{"tens of amperes", int16s(times(phaseA, 0.1), times(phaseB, 0.1), times(phaseC, 0.1), same(1500)), 0, []int{0, 1, 2}, "int16", [3]float64{10, 10, 10}, 3},
		{"a small furnace, whose current is given", floats(times(phaseA, 0.06), times(phaseB, 0.06), times(phaseC, 0.06)), 900, []int{0, 2, 4}, "float32", [3]float64{1, 1, 1}, -1},
		{"the same without it", floats(times(phaseA, 0.06), times(phaseB, 0.06), times(phaseC, 0.06)), 0, nil, "", [3]float64{}, -1},
		{"two furnaces, one of which has the given current", append(floats(times(phaseA, 0.4), times(phaseB, 0.4), times(phaseC, 0.4)), append(refused, floats(phaseC, phaseA, phaseB)...)...), 15_000, []int{8, 10, 12}, "float32", [3]float64{1, 1, 1}, -1},
		{"voltages in tenths alone", int16s(times(volts[0], 10), times(volts[1], 10), times(volts[2], 10)), 0, nil, "", [3]float64{}, -1},
		{"voltages as floats alone", floats(volts...), 0, nil, "", [3]float64{}, -1},
		{"counters alone", int16s([]float64{9000, 9011, 9019, 9030}, []float64{9100, 9140, 9177, 9208}, []float64{8000, 8090, 8170, 8260}), 0, nil, "", [3]float64{}, -1},
		{"constants alone", floats(same(15_000), same(15_000), same(15_000), same(14_000)), 0, nil, "", [3]float64{}, -1},
		{"two phases alone", append(floats(phaseA, phaseB), refused...), 0, nil, "", [3]float64{}, -1},
		{"nothing", nil, 0, nil, "", [3]float64{}, -1},
	} {
		t.Run(c.fact, func(t *testing.T) {
			found := Infer([]Area{{Unit: 1, Function: 3, Words: c.words}}, c.expected)
			if c.want == nil {
				if len(found) > 0 {
					t.Errorf("found %v: %v", found[0], found[0].Reasons)
				}
				return
			}
			if len(found) == 0 {
				t.Fatal("found nothing")
			}
			got := found[0]
			if !slices.Equal(got.Address[:], c.want) || got.Type != c.typ || got.Scale != c.scale {
				t.Errorf("found %v, scales %v: %v", got, got.Scale, got.Reasons)
			}
			if point := got.SetPoint; (point == nil) != (c.setPoint < 0) || point != nil && point.Address != c.setPoint {
				t.Errorf("set-point %+v, want register %d", point, c.setPoint)
			}
		})
	}
}

// Whatever the registers hold, the answer comes, its numbers are finite, and each section
// that is proposed passes the configuration's check.
func FuzzInfer(f *testing.F) {
	seed := func(words [][]uint16) (out []byte) {
		for reading := range 4 {
			for _, w := range words {
				out = binary.BigEndian.AppendUint16(out, w[reading])
			}
		}
		return out
	}
	f.Add(seed(floats(phaseA, phaseB, phaseC, same(15_000))), uint8(4), 0.0)
	f.Add(seed(int16s(phaseA, times(phaseB, -1), phaseC)), uint8(4), 15e3)
	f.Add([]byte{0xff, 0xff, 0x80, 0}, uint8(1), 1.0)
	f.Fuzz(func(t *testing.T, data []byte, readings uint8, expected float64) {
		readings = readings%6 + 1
		size := min(len(data)/2/int(readings), 130)
		a := Area{Unit: 1, Function: 3, First: 7, Words: make([][]uint16, size)}
		for i := range size {
			if len(data)%5 == 1 && i%7 == 3 {
				continue // refused
			}
			for reading := range int(readings) {
				a.Words[i] = append(a.Words[i], binary.BigEndian.Uint16(data[2*(reading*size+i):]))
			}
		}
		if !(expected >= 0 && expected <= 200_000) {
			expected = 0
		}
		found := Infer([]Area{a}, expected)
		if len(found) > mostCandidates {
			t.Errorf("%d candidates", len(found))
		}
		o := Options{URL: "tcp://plc:502", Expected: expected}
		for _, c := range found {
			if _, err := suggest(o, Survey{Areas: []Area{a}}, c); err != nil {
				t.Errorf("%v: %v", c, err)
			}
			if math.IsNaN(c.Score) || math.IsInf(c.Score, 0) {
				t.Errorf("%v has the score %v", c, c.Score)
			}
		}
		rows := Rows(a, nil)
		for i := range found {
			rows = append(rows, Rows(a, &found[i])...)
		}
		r := Result{Registers: []AreaRows{{1, 3, rows}}, Survey: Survey{Areas: []Area{a}}, Candidates: found}
		if len(found) > 0 {
			r.YAML = "x"
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
		if err := r.Print(discard{}); err != nil {
			t.Error(err)
		}
	})
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// The largest area with the most candidates takes little time.
func TestInferIsFast(t *testing.T) {
	a := Area{Unit: 1, Function: 3, Words: make([][]uint16, 2*mostRegisters)}
	for i := range a.Words {
		a.Words[i] = int16s([][]float64{phaseA, phaseB, phaseC, same(15_000)}[i%4])[0]
	}
	began := time.Now()
	found := Infer([]Area{a}, 0)
	if took := time.Since(began); took > 15*time.Second || len(found) == 0 {
		t.Errorf("took %v, found %d", took, len(found))
	} else {
		t.Log(took)
	}
}

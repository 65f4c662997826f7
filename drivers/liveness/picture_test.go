package liveness

import (
	"math/rand/v2"
	"testing"
)

// Pixels that are counted eight at a time are those that are counted one by one, at every
// difference and at every length.
func TestDifferingPixelsAreCounted(t *testing.T) {
	oneByOne := func(a, b []byte) (count int) {
		for i := range a {
			if distance(a[i], b[i]) >= noticeable {
				count++
			}
		}
		return count
	}
	var a, b []byte
	for x := range 256 {
		for y := range 256 {
			a, b = append(a, byte(x)), append(b, byte(y))
		}
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(a), func(i, j int) { a[i], a[j], b[i], b[j] = a[j], a[i], b[j], b[i] })
	for n := range 40 {
		for i := 0; i+n <= len(a); i += max(n, 1) {
			if got, want := differing(a[i:i+n], b[i:i+n]), oneByOne(a[i:i+n], b[i:i+n]); got != want {
				t.Fatalf("%d of %v and %v, want %d", got, a[i:i+n], b[i:i+n], want)
			}
			if n == 0 {
				break
			}
		}
	}
}

// A picture that is looked at in parts has changed where the whole one has.
func TestChangeIsThatOfTheWholePicture(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	for range 200 {
		n := random.IntN(3 * 4096)
		a, b := Picture{Width: 1, Pixels: make([]byte, n)}, Picture{Width: 1, Pixels: make([]byte, n)}
		share := 2 * changedShare * random.Float64()
		for i := range b.Pixels {
			if random.Float64() < share {
				b.Pixels[i] = 9
			}
		}
		if got, want := changed(a, b), changedBy(a, b) > changedShare; got != want {
			t.Fatalf("%d pixels, %.4f of them changed: %v", n, changedBy(a, b), got)
		}
	}
	if !changed(Picture{}, Picture{Pixels: []byte{0}}) || changed(Picture{}, Picture{}) {
		t.Error("sizes are not compared")
	}
}

// A lit picture with a dark upper part, and a dark one with a bright spot at its end, are
// not black.
func TestBlackLooksAtTheWholePicture(t *testing.T) {
	for name, c := range map[string]struct {
		light func(i int) byte
		want  bool
	}{
		"dark":             {func(i int) byte { return byte(i % 3) }, true},
		"lit below":        {func(i int) byte { return byte(i / (PictureWidth * PictureHeight / 2) * 60) }, false},
		"bright spot last": {func(i int) byte { return byte(i / (PictureWidth*PictureHeight - 3000) * 255) }, false},
	} {
		p := Picture{Width: PictureWidth, Height: PictureHeight, Pixels: make([]byte, PictureWidth*PictureHeight)}
		for i := range p.Pixels {
			p.Pixels[i] = c.light(i)
		}
		if got := p.black(); got != c.want {
			t.Errorf("%s: black is %v", name, got)
		}
	}
}

func BenchmarkDetector(b *testing.B) {
	random := rand.New(rand.NewPCG(3, 3))
	var film [4]Picture
	for n := range film {
		film[n] = Picture{Width: PictureWidth, Height: PictureHeight, Pixels: make([]byte, PictureWidth*PictureHeight)}
		for i := range film[n].Pixels {
			film[n].Pixels[i] = byte(100 + random.IntN(6))
		}
	}
	b.ResetTimer()
	for i := range b.N {
		p, before := film[i%4], film[(i+1)%4]
		_, _, _, _ = p.black(), changedBy(before, p), changed(before, p), p.cellMeans()
	}
}

package serve

import (
	"errors"
	"image"
	"io"
	"math"
	"net"
	"net/url"
	"testing"
	"time"

	"meltwatch/simulator/furnace"
	"meltwatch/simulator/scene"
)

const frameStamps = clockRate / fps

func TestTimeStampsAdvanceExactlyWithTheFrames(t *testing.T) {
	s := filming(t, Options{})
	v := watch(t, s)
	begin := time.Now()
	first := v.next()
	last, missing, keys := first, uint32(0), 0
	for range 3 * fps {
		p := v.next()
		step := p.stamp - last.stamp
		if step == 0 || step%frameStamps != 0 {
			t.Fatalf("a time stamp of %d follows %d, want multiples of %d", p.stamp, last.stamp, frameStamps)
		}
		missing += step/frameStamps - 1
		if p.key() {
			keys++
		}
		last = p
	}
	if skipped := s.Truth().SkippedFrames; uint64(missing) > skipped {
		t.Errorf("%d frames are missing, %d are counted", missing, skipped)
	}
	if keys < 3 {
		t.Errorf("%d of %d pictures can be decoded on their own, want one a second", keys, 3*fps)
	}
	stamped, passed := float64(last.stamp-first.stamp)/clockRate, time.Since(begin).Seconds()
	if math.Abs(stamped-passed) > 2 {
		t.Errorf("the stamps advanced by %.2f s in %.2f s", stamped, passed)
	}
}

func TestCameraFaultsAsAViewerSeesThem(t *testing.T) {
	s := filming(t, Options{})
	v := watch(t, s)
	live := decode(t, v.some(10))
	if moved := apart(live[0], live[9]); moved == 0 {
		t.Error("nothing moves in a live picture")
	}
	set(t, s, CameraBlack)
	v.some(fps) // what was under way
	for _, p := range decode(t, v.some(3)) {
		if b := brightness(p); b > 3 {
			t.Errorf("a black picture has brightness %.1f", b)
		}
	}
	set(t, s, CameraFine)
	v.some(fps)
	set(t, s, CameraFrozen)
	v.some(fps)
	frozen := v.some(2 * fps)
	if frozen[fps].stamp == frozen[0].stamp {
		t.Error("a frozen camera's time stands still")
	}
	still, most := decode(t, frozen), 0.0
	for n := range len(still) - 1 {
		most = max(most, apart(still[n], still[n+1]))
	}
	t.Logf("a frozen picture moves by up to %.3f grey levels, where it is encoded anew", most)
	if most > 0.6 {
		t.Errorf("a frozen picture moved by %.2f grey levels", most)
	}
	if b := brightness(still[0]); b < 10 {
		t.Errorf("a frozen picture has brightness %.1f, as if it were black", b)
	}
}

func set(t *testing.T, s *Server, f CameraFault) {
	t.Helper()
	if err := s.SetCameraFault(f); err != nil {
		t.Fatal(err)
	}
}

func TestAStaleCameraKeepsTheConnectionAndGoesOnWhereTimeIs(t *testing.T) {
	s := filming(t, Options{})
	v := watch(t, s)
	before := v.some(5)[4]
	set(t, s, CameraStale)
	time.Sleep(500 * time.Millisecond) // what was under way
	for len(v.pictures) > 0 {
		before = <-v.pictures
	}
	select {
	case <-v.pictures:
		t.Error("a stale camera sends pictures")
	case err := <-v.ended:
		t.Fatalf("a stale camera ended the connection: %v", err)
	case <-time.After(time.Second):
	}
	set(t, s, CameraFine)
	if gap := v.next().stamp - before.stamp; gap < clockRate || gap%frameStamps != 0 {
		t.Errorf("after more than a second the stamps went on by %d", gap)
	}
}

func TestAnAbsentCameraRefusesAndComesBackAtItsAddress(t *testing.T) {
	s := filming(t, Options{})
	v, before := watch(t, s), s.CameraURL()
	v.next()
	set(t, s, CameraAbsent)
	select {
	case <-v.ended:
	case <-time.After(patience):
		t.Fatal("the connection outlives the camera")
	}
	address, err := url.Parse(before)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", address.Host); err == nil {
		conn.Close()
		t.Error("an absent camera accepts connections")
	}
	set(t, s, CameraFine)
	if s.CameraURL() != before {
		t.Errorf("came back at %s, was at %s", s.CameraURL(), before)
	}
	watch(t, s).next()
}

func TestTheScenariosGapAndFrozenCamera(t *testing.T) {
	scenario := furnace.Scenario{
		Segments:  []furnace.Segment{{State: furnace.Normal, Seconds: 1000}},
		Nuisances: []furnace.Nuisance{{Cause: furnace.CameraGap, At: 100, Seconds: 100}, {Cause: furnace.CameraFrozen, At: 300, Seconds: 100}},
	}
	batch := furnace.NewBatch(1, 1)
	m := newClockedFurnace(furnace.New(scenario, batch, 1, 1), time.Now())
	c := newCamera(m, 0, scene.New(batch), newRTSPServer(""), nil)
	at := func(second float64) *image.YCbCr {
		m.start = time.Now().Add(-time.Duration(second * float64(time.Second)))
		return c.frame()
	}
	sum := func(p *image.YCbCr) (n int) {
		for _, b := range p.Y {
			n += int(b)
		}
		return n
	}
	first := sum(at(50))
	if at(150) != nil {
		t.Error("a picture was taken in a gap")
	}
	live := sum(at(250))
	if live == first {
		t.Error("minutes later the picture is the same")
	}
	if sum(at(350)) != live {
		t.Error("a frozen picture changed")
	}
}

func TestTheDecodedCropIsTheModelsCrop(t *testing.T) {
	needFFmpeg(t)
	if testing.Short() {
		t.Skip("encodes and decodes: seconds")
	}
	var gap, bias, pictures float64
	for seed := range uint64(4) {
		crops, decoded := throughTheCodec(t, seed+31, 600+97*float64(seed))
		for i := range crops {
			pictures++
			gap += apart(crops[i], decoded[i])
			bias += brightness(decoded[i]) - brightness(crops[i])
		}
		// What a judge of liveness sees: how far a picture is from the last one.
		t.Logf("batch %d: from frame to frame %.2f grey levels drawn, %.2f decoded", seed,
			apart(crops[30], crops[31]), apart(decoded[30], decoded[31]))
		if decoded := apart(decoded[30], decoded[31]); decoded < 0.1 {
			t.Errorf("batch %d: of the sensor's noise %.2f grey levels survive the encoder", seed, decoded)
		}
	}
	t.Logf("mean absolute difference %.2f grey levels, bias %+.2f", gap/pictures, bias/pictures)
	if gap/pictures > 3 {
		t.Errorf("drawn and decoded crops differ by %.2f grey levels in the mean", gap/pictures)
	}
}

// throughTheCodec draws two seconds from second at of a scenario, as crops and
// through encoder and decoder.
func throughTheCodec(t *testing.T, seed uint64, at float64) (crops, decoded [][]byte) {
	batch := furnace.NewBatch(seed, seed)
	f := furnace.New(furnace.Draw(furnace.Mixed, 3600, seed, seed, seed), batch, seed, seed)
	sc := scene.New(batch)
	e, err := startEncoder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	picture := image.NewYCbCr(image.Rect(0, 0, scene.Width, scene.Height), image.YCbCrSubsampleRatio420)
	written := make(chan error, 1)
	const count = 2 * fps
	go func() {
		defer e.in.Close()
		for n := range count {
			state := f.AdvanceTo(at + float64(n)/fps)
			crop := make([]byte, 3*scene.Side*scene.Side)
			sc.Crop(state, crop, nil)
			crops = append(crops, crop)
			sc.Full(state, picture)
			if err := e.write(picture); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	var list []seen
	for {
		p, err := e.read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.units == nil {
			p.units = [][]byte{p.sps, p.pps}
			list = append(list, seen{units: p.units})
			continue
		}
		list = append(list, seen{units: p.units})
	}
	if err := errors.Join(<-written, e.close()); err != nil {
		t.Fatal(err)
	}
	// The parameters do not count as a picture.
	list[1].units = append(list[0].units, list[1].units...)
	return crops, decode(t, list[1:])
}

package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"meltwatch/agent/beside"
	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/drivers/drivertest"
	"meltwatch/drivers/modbus"
	"meltwatch/drivers/rtsp/rtsptest"
)

func detailOf(p beside.Part) string {
	var all []string
	for _, f := range p.Findings {
		all = append(all, f.Status+" "+f.Key+": "+f.Detail)
	}
	return strings.Join(all, "\n")
}

// The meters' readings come with a verdict, and what does not fit with its key and remedy.
func TestMetersBeside(t *testing.T) {
	for _, c := range []struct {
		name      string
		registers []uint16
		fields    string
		verdict   string
		want      string
	}{
		{"right", words(15_012, 14_890, 15_100), threeWords, beside.Plausible, "ok : 15012 14890 15100 A"},
		{"off", words(0, 0, 0), threeWords, beside.Off, "warn : 0 0 0 A, set-point unknown; the furnace seems to be off"},
		{"far below", words(2_012, 1_890, 2_100), threeWords, beside.Doubtful, "warn : 2012 1890 2100 A, set-point unknown; far below state.normal_current"},
		{"another order", swapped(floats(4, 15_012, 14_890, 15_100)), threeFloats, "", "fail meters.main: current_c: 0xF000466B (float32) gives -1.587968e+29 A"},
		{"far above", floats(4, 40_012, 39_890, 40_100), threeFloats, beside.Implausible, "fail meters.main.fields: 40012 39890 40100 A, set-point unknown do not fit state.normal_current (15000 A)"},
		{"not available", words(-32768, -32768, -32768), threeWords, "", "fail meters.main: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := metersAt(t, drivertest.Registers(t, c.registers, nil), c.fields)
			part := metersBeside(t.Context(), k.config)
			if !strings.Contains(detailOf(part), c.want) || part.Name != beside.Meters || !part.Answered {
				t.Errorf("%+v\nwant %s", part, c.want)
			}
			if part.Readings == nil != (c.verdict == "") || part.Readings != nil && part.Readings.Verdict != c.verdict {
				t.Errorf("readings %+v, want the verdict %s", part.Readings, c.verdict)
			}
		})
	}
}

// Beside a watch, a meter that serves one connection is asked twice at most, and the watch goes on,
// whatever the meter does with the second connection.
func TestMetersWithOneConnection(t *testing.T) {
	for _, c := range []struct {
		holds    drivertest.Hold
		answered bool
		opens    int // by the probe
	}{{drivertest.Closes, false, 2}, {drivertest.Ignores, false, 2}, {drivertest.Replaces, true, 2}} {
		t.Run(string(c.holds), func(t *testing.T) {
			t.Parallel()
			meter := &drivertest.Single{Holds: c.holds, Registers: words(15_012, 14_890, 15_100)}
			k := metersAt(t, meter.Serve(t), threeWords)
			w := watchMeters(t, k.config)
			w.until(t, 3)
			before, bad := meter.Opened(), w.bad()
			part := metersBeside(t.Context(), k.config)
			again := w.redials()
			if opened := meter.Opened() - before - again; opened > c.opens {
				t.Errorf("the probe opened %d connections, at most %d wanted", opened, c.opens)
			}
			if part.Answered != c.answered {
				t.Errorf("answered %t: %+v", part.Answered, part)
			}
			if again > 0 && c.holds != drivertest.Replaces || again > 2 || w.bad()-bad > 2 {
				t.Errorf("the watch connected again %d times, and lost %d polls", again, w.bad()-bad)
			}
			w.until(t, w.good()+3)
		})
	}
}

// A serial line has one master, so its meters are left alone, and others are still probed.
func TestSerialMetersAreLeftAlone(t *testing.T) {
	for _, url := range []string{"rtu:///dev/ttyMissing", "rtuovertcp://127.0.0.1:1"} {
		k := metersAt(t, url, threeWords)
		part := metersBeside(t.Context(), k.config)
		if len(part.Findings) != 1 || part.Findings[0].Status != beside.Skip || part.Findings[0].Key != "meters.main" || part.Answered {
			t.Errorf("%s: %+v", url, part)
		}
	}
	k := metersAt(t, drivertest.Registers(t, words(15_012, 14_890, 15_100), nil), threeWords)
	k.config.Meters["plc"] = config.Meter{URL: "rtu:///dev/ttyMissing"}
	part := metersBeside(t.Context(), k.config)
	if detail := detailOf(part); !strings.Contains(detail, "skip meters.plc: ") || !strings.Contains(detail, "ok : 15012") || part.Readings == nil {
		t.Errorf("%+v", part)
	}
}

// Without a camera, or with an unreadable password, it is said, and nothing is sent.
func TestCameraBesideIsNotTried(t *testing.T) {
	c := cameraChecker(t, `enabled: false`).config
	if part := cameraBeside(t.Context(), c); len(part.Findings) != 1 || part.Findings[0].Status != beside.Skip {
		t.Errorf("%+v", part)
	}
	c = cameraChecker(t, `url: "rtsp://127.0.0.1:1/x", username: u, password_file: /nonexistent/secret`).config
	if part := cameraBeside(t.Context(), c); len(part.Findings) != 1 || part.Findings[0].Status != beside.Fail || part.Findings[0].Key != "camera.password_file" {
		t.Errorf("%+v", part)
	}
}

// The parts come in order, and an end between them ends the probe.
func TestBesideEnds(t *testing.T) {
	c := cameraChecker(t, `enabled: false`).config
	c.Meters = metersAt(t, drivertest.Registers(t, words(15_012, 14_890, 15_100), nil), threeWords).config.Meters
	var names []string
	if err := Beside(t.Context(), c, func(p beside.Part) error { names = append(names, p.Name); return nil }); err != nil || !slices.Equal(names, []string{"meters", "camera"}) {
		t.Errorf("%v, %v", names, err)
	}
	if err := Beside(t.Context(), c, func(beside.Part) error { return io.ErrClosedPipe }); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	parts := 0
	if err := Beside(ctx, c, func(beside.Part) error { parts++; cancel(); return nil }); !errors.Is(err, context.Canceled) || parts != 1 {
		t.Errorf("%v after %d parts", err, parts)
	}
}

// watch polls meters as an agent does.
type watch struct{ reports chan func(*watchCounts) }

type watchCounts struct{ good, bad, redials int }

func watchMeters(t *testing.T, c config.Config) *watch {
	t.Helper()
	w, counts := &watch{reports: make(chan func(*watchCounts))}, watchCounts{}
	ctx, cancel := context.WithCancel(context.Background())
	polled := make(chan modbus.Report)
	source, err := modbus.New(c.Meters, slog.New(slog.DiscardHandler), func(r modbus.Report) {
		select {
		case polled <- r:
		case <-ctx.Done():
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- source.Run(ctx, func(drivers.Sample) {}) }()
	go func() {
		for {
			select {
			case r := <-polled:
				counts.redials = int(r.Counters.Redials)
				if r.Err == nil {
					counts.good++
				} else {
					counts.bad++
				}
			case ask := <-w.reports:
				ask(&counts)
			case <-ctx.Done():
				ended <- nil
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		<-ended
	})
	return w
}

func (w *watch) ask(of func(*watchCounts) int) int {
	answer := make(chan int, 1)
	w.reports <- func(c *watchCounts) { answer <- of(c) }
	return <-answer
}

func (w *watch) good() int    { return w.ask(func(c *watchCounts) int { return c.good }) }
func (w *watch) bad() int     { return w.ask(func(c *watchCounts) int { return c.bad }) }
func (w *watch) redials() int { return w.ask(func(c *watchCounts) int { return c.redials }) }

func (w *watch) until(t *testing.T, good int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); w.good() < good; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the watch reads nothing: %d of %d polls", w.good(), good)
		}
	}
}

// A camera without room for a second stream has given no answer that tells of a setting, so
// the agent makes it a note where the watch has the stream; a refused log-in is an answer.
func TestCameraBesideIsRefused(t *testing.T) {
	programs := programsForCamera(t)
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("geheim-1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		camera   *rtsptest.Scripted
		answered bool
		want     string
	}{
		{&rtsptest.Scripted{Answer: refusing(base.StatusNotEnoughBandwidth)}, false, "fail : the camera has no bandwidth left for this stream (453)"},
		{&rtsptest.Scripted{OnConnect: func(conn net.Conn) bool { conn.Close(); return true }}, false, "fail "},
		{&rtsptest.Scripted{User: "viewer", Password: "right", Schemes: []string{"MD5"}, SDP: describedVideo}, true, "fail camera.username, camera.password_file: the camera refused the log-in (401)"},
	} {
		c.camera.Serve(t)
		settings := cameraChecker(t, fmt.Sprintf(`url: %q, username: viewer, password_file: %q`, c.camera.URL(), secret)).config
		settings.Paths.Programs = programs
		part := cameraBeside(t.Context(), settings)
		if detail := detailOf(part); part.Answered != c.answered || !strings.Contains(detail, c.want) || strings.Contains(detail, "geheim") || part.Stream.YAML != "" {
			t.Errorf("%+v\nwant %s", part, c.want)
		}
		if refused, _, _ := c.camera.Logins(); refused > 1 {
			t.Errorf("%d log-ins were refused", refused)
		}
	}
}

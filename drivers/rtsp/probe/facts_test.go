package probe

import (
	"strings"
	"testing"
	"time"

	"meltwatch/drivers"
)

func TestClockOfAReport(t *testing.T) {
	steady := drivers.StreamReport{Pictures: 100, MarkedPictures: 100, DriftSpan: 10 * time.Second}
	with := func(change func(*drivers.StreamReport)) drivers.StreamReport {
		r := steady
		change(&r)
		return r
	}
	sent := func(behind time.Duration) drivers.StreamReport {
		return with(func(r *drivers.StreamReport) { r.HasSenderClock, r.SenderClockBehind = true, behind })
	}
	for _, c := range []struct {
		name    string
		report  drivers.StreamReport
		line    string // of the output
		finding string
	}{
		{"steady", steady, "lag            unknown: the camera sends no time of day", ""},
		{"late", sent(300 * time.Millisecond), "lag            0.3 s by the camera's time of day", ""},
		{"a little ahead", sent(-100 * time.Millisecond), "lag            -0.1 s by the camera's time of day", ""},
		{"behind", sent(time.Minute), "lag            unknown: the clocks of the camera and of this machine differ", "1m0s behind this machine's"},
		{"ahead", sent(-time.Hour), "lag            unknown: the clocks", "1h0m0s ahead of this machine's"},
		{"too fast", with(func(r *drivers.StreamReport) { r.ClockDrift = 0.05 }), "clock          not plausible, +5 %", "run +5 % off this machine's clock"},
		{"within bounds", with(func(r *drivers.StreamReport) { r.ClockDrift = -0.01 }), "clock          plausible, -1 %", ""},
		{"jumps", with(func(r *drivers.StreamReport) { r.ClockJumps = 3 }), "clock          not plausible", "jumped 3 times"},
		{"stands", drivers.StreamReport{Pictures: 1, MarkedPictures: 50}, "clock          not plausible", "do not advance"},
		{"two pictures", drivers.StreamReport{Pictures: 2, MarkedPictures: 2}, "clock          too few pictures to tell", ""},
	} {
		c.report.Codec, c.report.Supported, c.report.Packets, c.report.KeyFrames, c.report.Decoded, c.report.Status = "H264", true, 100, 5, 50, drivers.OK
		p := &prober{watched: &c.report}
		r, err := p.finish()
		var text strings.Builder
		if printErr := r.Print(&text); printErr != nil {
			t.Fatal(printErr)
		}
		if err == nil {
			t.Errorf("%s: a section without a URL was accepted", c.name)
		}
		if !strings.Contains(text.String(), c.line) {
			t.Errorf("%s: lacks %q:\n%s", c.name, c.line, text.String())
		}
		told := hasFinding(r, false, "", c.finding)
		if c.finding == "" {
			told = len(r.Findings) == 0
		}
		if !told || !r.Usable() {
			t.Errorf("%s: %+v, want %q", c.name, r.Findings, c.finding)
		}
	}
}

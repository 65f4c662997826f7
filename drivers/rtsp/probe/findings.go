package probe

import (
	"fmt"
	"math"
	"strings"
	"time"

	"meltwatch/drivers"
)

// Finding is what does not fit, with what to set.
type Finding struct {
	// Fault is true if the agent cannot use the camera as it is.
	Fault bool `json:"fault"`
	// Key is the setting of the configuration to change, empty for one of the camera's.
	Key string `json:"key,omitempty"`
	// Detail holds the remedy.
	Detail string `json:"detail"`
}

// farKeyFrames is the distance of key frames in seconds from which on it is worth a word.
const farKeyFrames = 4.0

func (p *prober) findings() []Finding {
	f := &findings{all: []Finding{}}
	r := *p.watched
	if r.Packets == 0 {
		f.noPackets(r, p.result.Transports)
		return f.all
	}
	f.transports(p.result.Transports)
	f.video(p.result, r)
	f.clock(p.result.Clock, r)
	if r.Resized > 0 {
		f.notice("camera.crop", "the picture changed its size while it was watched (changes: %d), last to %d×%d: set one size in the camera, because the crop is in its pixels", r.Resized, r.Width, r.Height)
	}
	for _, why := range p.broken {
		f.notice("", "the stream was interrupted: %s", why)
	}
	f.picture(r)
	if p.still && r.Status.Live() {
		f.notice("", "the picture did not change in %.0f s: see whether the camera shows what is there now, and probe again while the furnace works", enough.Seconds())
	}
	f.crop(p.options.Settings.Crop, r)
	return f.all
}

// findings collects them in the order of their making.
type findings struct{ all []Finding }

func (f *findings) fault(key, format string, args ...any) {
	f.all = append(f.all, Finding{true, key, fmt.Sprintf(format, args...)})
}

func (f *findings) notice(key, format string, args ...any) {
	f.all = append(f.all, Finding{false, key, fmt.Sprintf(format, args...)})
}

// noPackets says why not, in the child's words; these begin with the keys to set.
func (f *findings) noPackets(r drivers.StreamReport, transports []Transport) {
	said := map[string]bool{}
	for _, t := range transports {
		if t.Works || said[t.Detail] || strings.HasPrefix(t.Detail, "not tried") {
			continue
		}
		said[t.Detail] = true
		key, detail := keyOf(t.Detail)
		f.fault(key, "%s", detail)
	}
	if r.LoginRefused {
		f.notice("", "the probe does not log in again: many cameras lock an account after five refusals")
	}
	if r.Described && r.Codec != "" && !r.Supported {
		f.codec(r)
	}
}

// keyOf divides a text such as "camera.url, camera.transport: words".
func keyOf(text string) (key, detail string) {
	key, detail, found := strings.Cut(text, ": ")
	if !found || !strings.HasPrefix(key, "camera.") || strings.ContainsAny(strings.ReplaceAll(key, ", ", ""), " ") {
		return "", text
	}
	return key, detail
}

func (f *findings) codec(r drivers.StreamReport) {
	f.fault("", "the codec %s is not supported: set H.264, H.265 or MJPEG in the camera, or the address of such a stream in camera.url", r.Codec)
}

func (f *findings) transports(all []Transport) {
	for _, t := range all {
		if t.Works || strings.HasPrefix(t.Detail, "not tried") {
			continue
		}
		_, detail := keyOf(t.Detail)
		f.notice("camera.transport", "%s does not work: %s", t.Name, detail)
	}
}

func (f *findings) video(result Result, r drivers.StreamReport) {
	v := result.Video
	if !r.Supported {
		f.codec(r)
	}
	switch {
	case v.KeyFrameSeconds > farKeyFrames:
		f.notice("camera.frozen_after", "key frames are %.4g s apart: after each opening the picture comes up to that late; set 1 to 2 s in the camera. Until then frozen_after must be twice the distance, as below", v.KeyFrameSeconds)
	case r.KeyFrames == 0:
		f.fault("", "no key frame came within %.0f s, so nothing could be decoded: set a key-frame (I-frame) interval of 1 to 2 s in the camera", r.SinceKeyFrame.Seconds())
	case v.KeyFrameAtLeast > farKeyFrames:
		f.notice("camera.frozen_after", "key frames are %.4g s apart or more: after each opening the picture comes up to that late; set 1 to 2 s in the camera", v.KeyFrameAtLeast)
	}
	if v.Rate > 0 && v.Rate < 0.25 {
		f.fault("", "%.2g pictures a second are too few: set at least one in four seconds in the camera", v.Rate)
	}
	if v.AnnouncedRate > 0 && v.Rate > 0 && math.Abs(v.Rate-v.AnnouncedRate) > 0.2*v.AnnouncedRate {
		f.notice("", "the camera announces %.4g pictures a second and sends %.4g; the agent goes by what is sent", v.AnnouncedRate, v.Rate)
	}
	if v.Lost > 0 && v.Lost*200 > v.Packets { // 0.5 %
		f.notice("", "%d of %d packets were lost: check the cable and the network, or set camera.transport to tcp", v.Lost, v.Lost+v.Packets)
	}
}

func (f *findings) clock(c Clock, r drivers.StreamReport) {
	switch {
	case c.Plausible == nil || *c.Plausible:
	case r.ClockJumps > 0:
		f.notice("", "the presentation times jumped %d times by more than 10 s: the agent ignores them and goes by the arrival; update the camera's firmware", r.ClockJumps)
	case r.Pictures <= 1:
		f.notice("", "the presentation times do not advance: the agent goes by the arrival; update the camera's firmware")
	default:
		f.notice("", "the presentation times run %+.3g %% off this machine's clock: set the camera's rate anew, or update its firmware", c.DriftPercent)
	}
	if c.BehindSeconds != nil {
		side := "behind"
		if *c.BehindSeconds < 0 {
			side = "ahead of"
		}
		differs := time.Duration(math.Abs(*c.BehindSeconds) * float64(time.Second)).Round(10 * time.Millisecond)
		f.notice("", "the camera's time of day is %s %s this machine's, so the lag is unknown: have both set by NTP", differs, side)
	}
}

func (f *findings) picture(r drivers.StreamReport) {
	status := string(r.Status)
	switch {
	case r.Decoded == 0 && r.KeyFrames > 0 && r.Supported:
		key, detail := keyOf(r.Cause)
		f.fault(key, "no picture could be decoded: %s", detail)
	case r.Decoded == 0 || r.Status.Live():
	case r.Status == drivers.Black:
		f.fault("", "the picture is black: open the lens's cover, switch the night mode off, or light the furnace")
	case r.Status == drivers.Frozen:
		f.fault("", "the picture is frozen: the camera repeats one picture; restart the camera")
	default:
		f.fault("", "the picture is %s: %s", status, r.Cause)
	}
}

// fits reports whether the crop lies in the picture, as far as its size is known.
func fits(crop drivers.Rect, r drivers.StreamReport) bool {
	return r.Width == 0 || crop.X+crop.Width <= r.Width && crop.Y+crop.Height <= r.Height
}

func (f *findings) crop(crop drivers.Rect, r drivers.StreamReport) {
	if !fits(crop, r) {
		f.fault("camera.crop", "%d×%d at (%d, %d) reaches out of the camera's %d×%d picture; correct it",
			crop.Width, crop.Height, crop.X, crop.Y, r.Width, r.Height)
	}
}

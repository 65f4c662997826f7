package inference

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// exportRemedy is the remedy of most faults: a manifest is only written by the export
// and never edited by hand.
const exportRemedy = "export the model again"

// maxElements bounds one tensor, so that a damaged manifest cannot ask for more
// memory than the box has.
const maxElements = 1 << 22

// Check reports every fault of the manifest by its JSON key, with the remedy.
func (m Manifest) Check() error {
	var f faults
	if err := m.checkFormat(); err != nil {
		f = append(f, err)
	}
	f.required("name", m.Name)
	f.required("version", m.Version)
	m.checkFiles(&f)
	m.Current.check(&f)
	m.Video.check(&f)
	// Signatures are derived from the sizes, so invalid sizes would be reported twice.
	if len(f) == 0 {
		m.checkSignatures(&f)
	}
	if !slices.Equal(m.Labels, []string{"normal", "abnormal"}) {
		f.add("labels", `are %q, must be ["normal" "abnormal"]; %s`, m.Labels, exportRemedy)
	}
	m.Decision.check(&f)
	f.within("rule.cv_120", m.Rule.CV120, 1)
	f.within("rule.cv_45", m.Rule.CV45, 1)
	m.checkOffset(&f)
	m.checkFamiliarity(&f)
	m.checkSampling(&f)
	m.checkGolden(&f)
	if len(f) == 0 {
		m.checkMessages(&f)
	}
	return errors.Join(f...)
}

func (m Manifest) checkFormat() error {
	if m.Format == manifestFormat {
		return nil
	}
	return fmt.Errorf("format: is %d, this program serves %d; use a model exported by this release's trainer, or install the release that serves it", m.Format, manifestFormat)
}

var hexSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (m Manifest) checkFiles(f *faults) {
	if _, ok := m.Files["saved_model.pb"]; !ok {
		f.add("files", "saved_model.pb is missing; %s", exportRemedy)
	}
	for _, path := range slices.Sorted(maps.Keys(m.Files)) {
		key := "files." + path
		switch {
		case !filepath.IsLocal(path) || strings.Contains(path, `\`):
			f.add(key, "leads out of the model folder; %s", exportRemedy)
		case path == ManifestFile:
			f.add(key, "a manifest cannot hold its own hash; %s", exportRemedy)
		}
		if !hexSHA256.MatchString(m.Files[path]) {
			f.add(key, "is not a sha256 of 64 lower-case hexadecimal digits; %s", exportRemedy)
		}
	}
}

func (c CurrentSpec) check(f *faults) {
	f.rate("current.rate_hz", c.RateHz)
	f.size("current.samples", c.Samples)
	f.size("current.phases", c.Phases)
	f.oneOf("current.unit", c.Unit, "A")
	f.product("current", c.Samples, c.Phases)
}

func (v VideoSpec) check(f *faults) {
	f.rate("video.rate_hz", v.RateHz)
	f.size("video.frames", v.Frames)
	f.size("video.width", v.Width)
	f.size("video.height", v.Height)
	f.oneOf("video.channels", v.Channels, "RGB")
	f.oneOf("video.resize", v.Resize, "area")
	f.size("video.tokens", v.Tokens)
	f.size("video.dim", v.Dim)
	f.product("video", v.Frames, v.Tokens, v.Dim)
	f.product("video", v.Width, v.Height, 3)
	if len(v.Background) == 0 {
		f.add("video.background", "is empty, must be the shape of encode_frame's background; %s", exportRemedy)
	}
	for _, n := range v.Background {
		f.size("video.background", n)
	}
	f.product("video.background", v.Background...)
	if v.EvidenceRows != 0 || v.EvidenceColumns != 0 {
		f.size("video.evidence_rows", v.EvidenceRows)
		f.size("video.evidence_columns", v.EvidenceColumns)
		f.product("video.evidence_rows", v.EvidenceRows, v.EvidenceColumns)
	}
}

// filter checks the length of a mean and the thresholds on it. An early warning has no more
// to do with the thresholds of the alarm: its mean is another.
func (f *faults) filter(key string, of Suspect) {
	if of.MeanSeconds < 1 || of.MeanSeconds > 600 {
		f.add(key+".mean_seconds", "is %d, must be 1 to 600; %s", of.MeanSeconds, exportRemedy)
	}
	f.within(key+".enter", of.Enter, 1)
	f.within(key+".exit", of.Exit, 1)
	if of.Exit > of.Enter {
		f.add(key+".exit", "is %g, above %s.enter %g, so the state would flicker; %s", of.Exit, key, of.Enter, exportRemedy)
	}
	if of.HoldSeconds < 0 || of.HoldSeconds > 3600 {
		f.add(key+".hold_seconds", "is %d, must be 0 to 3600; %s", of.HoldSeconds, exportRemedy)
	}
}

func (d Decision) check(f *faults) {
	f.filter("decision", Suspect{MeanSeconds: d.MeanSeconds, Enter: d.Enter, Exit: d.Exit, HoldSeconds: d.HoldSeconds})
	if d.Suspect != nil {
		f.filter("decision.suspect", *d.Suspect)
	}
	f.within("decision.freeze_background", d.FreezeBackground, 1)
	if d.FreezeAlone == 0 && d.FreezeAloneSeconds == 0 {
		return
	}
	f.within("decision.freeze_alone", d.FreezeAlone, 1)
	if d.FreezeAloneSeconds < 1 || d.FreezeAloneSeconds > 3600 {
		f.add("decision.freeze_alone_seconds", "is %d, must be 1 to 3600; %s", d.FreezeAloneSeconds, exportRemedy)
	}
}

func (m Manifest) checkGolden(f *faults) {
	if _, ok := m.Files[m.Golden.File]; !ok {
		f.add("golden.file", "%q is not among files; %s", m.Golden.File, exportRemedy)
	}
	f.within("golden.tolerance", m.Golden.Tolerance, 0.01)
}

// faults collects faults by their JSON key.
type faults []error

func (f *faults) add(key, format string, args ...any) {
	*f = append(*f, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
}

func (f *faults) required(key, value string) {
	if value == "" {
		f.add(key, "is missing; %s", exportRemedy)
	}
}

func (f *faults) oneOf(key, value string, known ...string) {
	if !slices.Contains(known, value) {
		f.add(key, "is %q, this program knows %q; %s", value, known, exportRemedy)
	}
}

func (f *faults) size(key string, n int) {
	if n < 1 || n > maxElements {
		f.add(key, "is %d, must be 1 to %d; %s", n, maxElements, exportRemedy)
	}
}

// product bounds a whole tensor; sizes out of bounds have their own fault.
func (f *faults) product(key string, sizes ...int) {
	product := 1
	for _, n := range sizes {
		if n < 1 || n > maxElements {
			return
		}
		if product *= n; product > maxElements {
			f.add(key, "asks for a tensor of more than %d elements; %s", maxElements, exportRemedy)
			return
		}
	}
}

func (f *faults) positive(key string, x float64) {
	if !(x > 0) || math.IsInf(x, 0) {
		f.add(key, "is %g, must be above 0; %s", x, exportRemedy)
	}
}

// No meter and no camera has a rate outside these bounds. A window of such a rate would have an
// invalid duration.
const minRateHz, maxRateHz = 0.001, 1000.0

func (f *faults) rate(key string, hertz float64) {
	if !(hertz >= minRateHz && hertz <= maxRateHz) {
		f.add(key, "is %g, must be %g to %g; %s", hertz, minRateHz, maxRateHz, exportRemedy)
	}
}

// within requires 0 < x ≤ high.
func (f *faults) within(key string, x, high float64) {
	if !(x > 0 && x <= high) {
		f.add(key, "is %g, must be above 0 and at most %g; %s", x, high, exportRemedy)
	}
}

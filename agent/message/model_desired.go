package message

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"meltwatch/config/strict"
)

// MaxModelDesired bounds a payload of model/desired, in bytes.
const MaxModelDesired = 64 << 10

// ModelDesired is the payload of model/desired.
type ModelDesired struct {
	// Revision counts a furnace's documents; each must be higher than the last.
	Revision int64 `json:"revision"`
	SignedPackage
	// URL is the package's location, https://… or file:///…; empty to receive it in
	// chunks.
	URL string `json:"url,omitempty"`
	// ShadowS is how long the model shadows the live one, WatchS how long it is
	// observed after the switch and may be rolled back, in seconds.
	ShadowS int `json:"shadow_s,omitempty"`
	WatchS  int `json:"watch_s,omitempty"`
	// MinAgreement is the least share of seconds in which the model must agree with the
	// live one; 0 disables the check.
	MinAgreement float64 `json:"min_agreement,omitempty"`
}

// longestURL bounds a URL in bytes.
const longestURL = 4096

// The defaults of ShadowS and WatchS.
const (
	DefaultShadow = 120
	DefaultWatch  = 60
)

// ParseModelDesired decodes a payload strictly.
func ParseModelDesired(payload []byte) (ModelDesired, []Fault) {
	var d ModelDesired
	if err := strict.Decode(payload, MaxModelDesired, &d); err != nil {
		return d, OneFault("", "invalid document on model/desired: "+err.Error())
	}
	if d.ShadowS == 0 {
		d.ShadowS = DefaultShadow
	}
	if d.WatchS == 0 {
		d.WatchS = DefaultWatch
	}
	return d, d.check()
}

func (d ModelDesired) check() []Fault {
	switch {
	case d.Revision < 1:
		return OneFault("revision", fmt.Sprintf("%d is invalid: revisions start at 1", d.Revision))
	case d.Size < 1:
		return OneFault("size", "is invalid: take the file that `meltwatch model sign` wrote")
	case d.ShadowS < 5 || d.ShadowS > 7*86_400:
		return OneFault("shadow_s", fmt.Sprintf("%d is out of bounds: want 5 to 604800 seconds", d.ShadowS))
	case d.WatchS < 5 || d.WatchS > 3600:
		return OneFault("watch_s", fmt.Sprintf("%d is out of bounds: want 5 to 3600 seconds", d.WatchS))
	case !(d.MinAgreement >= 0 && d.MinAgreement <= 1):
		return OneFault("min_agreement", fmt.Sprintf("%g is out of bounds: want 0 to 1", d.MinAgreement))
	}
	return d.checkURL()
}

func (d ModelDesired) checkURL() []Fault {
	if d.URL == "" {
		return nil
	}
	if len(d.URL) > longestURL {
		return OneFault("url", fmt.Sprintf("has %d bytes: at most %d are allowed", len(d.URL), longestURL))
	}
	u, err := url.Parse(d.URL)
	switch {
	case err != nil || u.User != nil:
		return OneFault("url", "is invalid, or contains a user or password")
	case u.Scheme == "https" && u.Host != "", u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		return nil
	}
	return OneFault("url", "is invalid: want https://host/path or file:///path")
}

// Shadow is ShadowS as a duration.
func (d ModelDesired) Shadow() time.Duration { return time.Duration(d.ShadowS) * time.Second }

// Watch is WatchS as a duration.
func (d ModelDesired) Watch() time.Duration { return time.Duration(d.WatchS) * time.Second }

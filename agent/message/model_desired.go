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
	// URL is where the package lies: https://… or file:///…; empty to receive it
	// by chunks.
	URL string `json:"url,omitempty"`
	// ShadowS is how long the model shadows the live one, WatchS how long it may
	// still be sent back after the switch, in seconds.
	ShadowS int `json:"shadow_s,omitempty"`
	WatchS  int `json:"watch_s,omitempty"`
	// MinAgreement rejects a model that agrees with the live one in a smaller
	// share of the shadow's seconds; 0 asks for none.
	MinAgreement float64 `json:"min_agreement,omitempty"`
}

// longestURL bounds a URL in bytes.
const longestURL = 4096

const (
	DefaultShadow = 120
	DefaultWatch  = 60
)

// ParseModelDesired decodes a payload strictly.
func ParseModelDesired(payload []byte) (ModelDesired, []Fault) {
	var d ModelDesired
	if err := strict.Decode(payload, MaxModelDesired, &d); err != nil {
		return d, OneFault("", "not a document of model/desired: "+err.Error())
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
		return OneFault("size", "is not the size of a package: take the file that `meltwatch model sign` wrote")
	case d.ShadowS < 5 || d.ShadowS > 7*86_400:
		return OneFault("shadow_s", fmt.Sprintf("%d is out of bounds: want 5 to 604800 seconds", d.ShadowS))
	case d.WatchS < 5 || d.WatchS > 3600:
		return OneFault("watch_s", fmt.Sprintf("%d is out of bounds: want 5 to 3600 seconds", d.WatchS))
	case !(d.MinAgreement >= 0 && d.MinAgreement <= 1):
		return OneFault("min_agreement", fmt.Sprintf("%g is not a share: want 0 to 1", d.MinAgreement))
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
		return OneFault("url", "is not a URL without user and password")
	case u.Scheme == "https" && u.Host != "", u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		return nil
	}
	return OneFault("url", "want https://host/path or file:///path")
}

func (d ModelDesired) Shadow() time.Duration { return time.Duration(d.ShadowS) * time.Second }
func (d ModelDesired) Watch() time.Duration  { return time.Duration(d.WatchS) * time.Second }

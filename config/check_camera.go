package config

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

func (c Camera) check(f report) {
	c.checkURL(f)
	f.oneOf("transport", c.Transport, "auto", "tcp", "udp")
	f.oneOf("decode", c.Decode, "auto", "all")
	secure := strings.HasPrefix(c.URL, "rtsps:")
	if secure && c.Transport == "udp" {
		f("transport", "udp is not encrypted, so it cannot be used with rtsps: set tcp or auto")
	}
	if c.CAFile != "" && !secure {
		f("ca_file", "needs a camera of scheme rtsps: without TLS it would verify nothing")
	}
	f.duration("timeout", c.Timeout, 500*time.Millisecond, time.Minute)
	f.duration("stale_after", c.StaleAfter, 500*time.Millisecond, time.Minute)
	f.duration("frozen_after", c.FrozenAfter, 500*time.Millisecond, time.Minute)
	f.duration("black_after", c.BlackAfter, 500*time.Millisecond, time.Minute)
	f.duration("delay", c.Delay, -MaxDelay, MaxDelay)
	crop := f.under("crop")
	crop.between("x", float64(c.Crop.X), 0, 16_384)
	crop.between("y", float64(c.Crop.Y), 0, 16_384)
	if c.Crop != (Crop{}) {
		crop.between("width", float64(c.Crop.Width), 16, 16_384)
		crop.between("height", float64(c.Crop.Height), 16, 16_384)
	}
	if c.PasswordFile != "" && c.Username == "" {
		f("username", "is missing though password_file is given")
	}
	c.checkText(f, "username", c.Username, 256)
	c.checkText(f, "password_file", c.PasswordFile, 4096)
	c.checkText(f, "ca_file", c.CAFile, 4096)
}

// maxURL bounds camera.url in bytes.
const maxURL = 2048

// checkURL checks the camera's whole URL. No message repeats it, because the fault
// may be a password in it.
func (c Camera) checkURL(f report) {
	switch {
	case len(c.URL) > maxURL:
		f.newer("url", "is over %d bytes: give it as rtsp://host:port/path", maxURL)
		return
	case !printable(c.URL):
		f.newer("url", "holds characters that cannot be printed, or invalid UTF-8: type it again")
		return
	}
	f.url("url", c.URL, "rtsp", "rtsps")
	u, err := url.Parse(c.URL)
	if err != nil {
		return // reported by url
	}
	if holdsSecret(u) {
		f.newer("url", "holds a password in its path or query: use username and password_file instead")
	}
}

// Shown returns the configuration as persons may see it: without the password that
// camera.url held under the rules of release 0.3.0. Other secrets are files.
func (c Config) Shown() Config {
	if u, err := url.Parse(c.Camera.URL); err == nil && holdsSecret(u) {
		c.Camera.URL = u.Scheme + "://" + u.Host + "/hidden"
	}
	return c
}

// secretNames are the names that cameras give to secrets in a URL.
var secretNames = []string{
	"auth", "authorization", "credentials", "key", "pass", "passphrase", "passwd", "password", "psw", "pw", "pwd", "secret", "token",
}

// holdsSecret looks for name=value pairs and user:password wherever cameras accept
// them: in the path, the query and the fragment.
func holdsSecret(u *url.URL) bool {
	parts := strings.FieldsFunc(strings.Join([]string{u.EscapedPath(), u.RawQuery, u.EscapedFragment()}, "&"), func(r rune) bool {
		return strings.ContainsRune("/?&;_,#", r)
	})
	return slices.ContainsFunc(parts, func(part string) bool {
		text, err := url.QueryUnescape(part)
		if err != nil {
			text = part
		}
		name, value, pair := strings.Cut(text, "=")
		if !pair {
			user, password, colon := strings.Cut(text, ":")
			return colon && user != "" && password != ""
		}
		return value != "" && slices.Contains(secretNames, strings.ToLower(name))
	})
}

func (c Camera) checkText(f report, key, value string, longest int) {
	switch {
	case len(value) > longest:
		f.newer(key, "is over %d bytes: shorten it", longest)
	case !printable(value):
		f.newer(key, "holds characters that cannot be printed, or invalid UTF-8: type it again")
	}
}

// printable reports whether a text is valid UTF-8 without control characters and
// without the replacement character.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return r == utf8.RuneError || !unicode.IsPrint(r)
	})
}

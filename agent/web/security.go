package web

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
)

// policy lets the page use its own files only; charts set styles by script, which the
// policy of styles does not concern.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secure refuses requests that another site's page makes, by name or by form, and sets
// the headers that a browser obeys.
func secure(next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	name, _ := os.Hostname() //nolint:errcheck // without a name, addresses remain
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !knownHost(r.Host, name) {
			http.Error(w, "this name is not the box's: open the page by its address", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knownHost reports whether a request names this machine. Another name may be a foreign
// site's that resolves to this address (DNS rebinding).
func knownHost(host, machine string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	machine = strings.ToLower(machine)
	return name == "localhost" || machine != "" && (name == machine || name == machine+".local")
}

// isLoopback reports whether only this machine reaches an address.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// reading guards what shows.
func (p *page) reading(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if _, ok := p.sessions.of(r); !ok && !p.local {
			refuse(w, http.StatusUnauthorized, "log in first")
			return
		}
		next(w, r)
	}
}

// writing guards what changes something.
func (p *page) writing(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if _, ok := p.sessions.of(r); !ok {
			why := "log in first"
			if !p.sessions.enabled() {
				why = "nobody can log in: set web.password_file on the box"
			}
			refuse(w, http.StatusUnauthorized, why)
			return
		}
		if r.Header.Get("Content-Type") != "application/json" {
			refuse(w, http.StatusUnsupportedMediaType, "send JSON")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next(w, r)
	}
}

// maxBody bounds a request's body, in bytes.
const maxBody = 256 << 10

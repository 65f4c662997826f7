// Package localhttp is what every page that our programs serve refuses, and the headers
// that it sends: requests under a name that is not the machine's, requests that another
// site's page makes, and content from elsewhere.
package localhttp

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
)

// policy lets a page use its own files only; charts set styles by script, which the
// policy of styles does not concern.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Secure refuses requests that another site's page makes, by name or by form, and sets
// the headers that a browser obeys.
func Secure(next http.Handler) http.Handler {
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
			http.Error(w, "this name is not the machine's: open the page by its address", http.StatusMisdirectedRequest)
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

// Loopback reports whether only this machine reaches an address.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

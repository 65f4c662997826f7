package web

import "net/http"

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

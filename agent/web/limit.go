package web

import (
	"context"
	"net/http"
	"time"
)

// limiter bounds how many requests of a kind are answered at a time.
type limiter chan struct{}

const (
	// maxReads bounds the requests that read the recording, maxClips the downloads and
	// maxChecks the checks of a configuration: each costs the box a core's time and memory.
	maxReads  = 6
	maxClips  = 2
	maxChecks = 2
	// maxLabelings bounds the requests that write labels, which one journal takes one at a
	// time, maxComparing those that read the models on this box.
	maxLabelings = 1
	maxComparing = 2
	// turn is how long a request waits for its turn.
	turn = 2 * time.Second
	// diskAnswers is how long a request waits for a disk. It is less than writeTimeout.
	diskAnswers = 20 * time.Second
)

const hanging = `{"error": "the disk does not answer: look at the parts on Now; what was asked may still be done once it answers"}`

// ofDisk answers a request in its turn, and without the disk if that hangs: the request then
// keeps its turn until the disk answers, but neither its connection nor its client.
func ofDisk(l limiter, next http.HandlerFunc) http.HandlerFunc {
	answered := http.TimeoutHandler(bounded(l, next), diskAnswers, hanging)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answered.ServeHTTP(w, r)
	}
}

// bounded answers a request in its turn, or with 503 and when to try again.
func bounded(l limiter, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !l.take(r.Context()) {
			w.Header().Set("Retry-After", "5")
			refuse(w, http.StatusServiceUnavailable, "too many requests of this kind at a time: try again in 5 s")
			return
		}
		defer l.leave()
		next(w, r)
	}
}

func (l limiter) take(ctx context.Context) bool {
	waiting := time.NewTimer(turn)
	defer waiting.Stop()
	select {
	case l <- struct{}{}:
		return true
	case <-waiting.C:
	case <-ctx.Done():
	}
	return false
}

func (l limiter) leave() { <-l }

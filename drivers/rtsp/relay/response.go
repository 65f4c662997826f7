package relay

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/sdp"
)

// sanitize removes what the library must not act on: Basic if a Digest is offered,
// because Basic reveals the password; redirects, which would send it to another host;
// an invalid base URL; and unused parts of a description, because one invalid part
// fails the whole.
func sanitize(r *base.Response) {
	delete(r.Header, "Location")
	if at := r.Header["Content-Base"]; len(at) > 0 && !isRequestURL(at[0]) {
		delete(r.Header, "Content-Base") // the library then uses the requested URL
	}
	offers := challenges(r.Header["WWW-Authenticate"])
	if d, ok := bestDigest(offers); ok {
		r.Header["WWW-Authenticate"] = base.HeaderValue{d.plain()}
	} else if slices.ContainsFunc(offers, func(c challenge) bool { return c.scheme == "digest" }) {
		r.Header["WWW-Authenticate"] = base.HeaderValue{"Digest"} // without parameters, so that the library gives up
	}
	r.Body = firstVideo(r.Body)
}

// firstVideo reduces a description to its first video that parses; it returns any other
// text unchanged.
func firstVideo(body []byte) []byte {
	head, sections := cutSections(body)
	head = keepLines(head, "v=", "o=", "s=", "c=", "t=", "a=control:")
	for _, section := range sections {
		if !bytes.HasPrefix(section, []byte("m=video")) {
			continue
		}
		// The direction attribute is dropped: some cameras write sendonly from their
		// own point of view.
		section = dropLines(keepLines(section, "m=", "c=", "a=control:", "a=rtpmap:", "a=fmtp:"), "a=control:*")
		// Invalid parameter sets are repeated within the stream.
		for _, one := range [][]byte{section, dropLines(section, "a=fmtp")} {
			if text := append(bytes.Clone(head), one...); parses(text) {
				return text
			}
		}
	}
	return body
}

// isRequestURL reports whether the library can request this URL; it completes a
// relative one itself.
func isRequestURL(text string) bool {
	if strings.HasPrefix(text, "/") {
		return true
	}
	_, err := base.ParseURL(text)
	return err == nil
}

// cutSections splits a description where its media begin.
func cutSections(body []byte) (head []byte, sections [][]byte) {
	start := 0
	for at := 0; at < len(body); {
		end := at + 1
		for end < len(body) && body[end-1] != '\n' {
			end++
		}
		if bytes.HasPrefix(body[at:], []byte("m=")) {
			if sections == nil {
				head = body[:at]
			} else {
				sections[len(sections)-1] = body[start:at]
			}
			sections, start = append(sections, nil), at
		}
		at = end
	}
	if sections == nil {
		return body, nil
	}
	sections[len(sections)-1] = body[start:]
	return head, sections
}

func dropLines(section []byte, prefix string) []byte {
	return filterLines(section, func(line []byte) bool { return !bytes.HasPrefix(line, []byte(prefix)) })
}

func keepLines(section []byte, prefixes ...string) []byte {
	return filterLines(section, func(line []byte) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool { return bytes.HasPrefix(line, []byte(prefix)) })
	})
}

func filterLines(section []byte, keep func(line []byte) bool) (kept []byte) {
	for line := range bytes.Lines(section) {
		if keep(line) {
			kept = append(kept, line...)
		}
	}
	return kept
}

func parses(text []byte) bool {
	var parsed sdp.SessionDescription
	if parsed.Unmarshal(text) != nil {
		return false
	}
	var session description.Session
	return session.Unmarshal(&parsed) == nil
}

// normalize rewrites the variants that cameras send into the form that the library
// accepts.
func normalize(r *base.Response) {
	if s := r.Header["Session"]; len(s) > 0 {
		s[0] = normalizeSession(s[0])
	}
	if s := r.Header["Transport"]; len(s) > 0 {
		s[0] = normalizeTransport(s[0])
	}
}

// normalizeSession keeps the id and, if it is a number, the timeout.
func normalizeSession(text string) string {
	id, rest, _ := strings.Cut(text, ";")
	for part := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		value, _, _ = strings.Cut(strings.TrimSpace(value), " ")
		if seconds, err := strconv.ParseUint(value, 10, 31); err == nil && seconds > 0 && strings.EqualFold(name, "timeout") {
			return id + ";timeout=" + value
		}
	}
	return id
}

// normalizeTransport writes the protocol in upper case and adds the requested channels
// if none are named.
func normalizeTransport(text string) string {
	protocol, rest, more := strings.Cut(strings.TrimSpace(text), ";")
	protocol = strings.ToUpper(protocol)
	if more {
		protocol += ";" + rest
	}
	if strings.HasPrefix(protocol, "RTP/AVP/TCP") && !strings.Contains(strings.ToLower(rest), "interleaved") {
		protocol += ";interleaved=0-1" // of the only track
	}
	return protocol
}

// optionsUnsupported reports whether a camera rejects OPTIONS, which the library sends
// first and does not need.
func optionsUnsupported(method base.Method, code base.StatusCode) bool {
	switch code {
	case base.StatusBadRequest, base.StatusNotFound, base.StatusMethodNotAllowed, base.StatusNotImplemented:
		return method == base.Options
	default:
		return false
	}
}

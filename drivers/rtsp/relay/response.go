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

// sanitize keeps from the library what it would follow to harm: Basic where a Digest
// is offered, which gives the password away; redirections, which hand it to
// another host; an address that cannot be read; and parts of a description that are
// not wanted, since one that is wrong in it spoils the whole.
func sanitize(r *base.Response) {
	delete(r.Header, "Location")
	if at := r.Header["Content-Base"]; len(at) > 0 && !isRequestURL(at[0]) {
		delete(r.Header, "Content-Base") // what was asked for stands in its place
	}
	offers := challenges(r.Header["WWW-Authenticate"])
	if d, ok := bestDigest(offers); ok {
		r.Header["WWW-Authenticate"] = base.HeaderValue{d.plain()}
	} else if slices.ContainsFunc(offers, func(c challenge) bool { return c.scheme == "digest" }) {
		r.Header["WWW-Authenticate"] = base.HeaderValue{"Digest"} // which nobody can answer
	}
	r.Body = firstVideo(r.Body)
}

// firstVideo leaves the first video out of a description that can be read so; any
// other text it hands back as it is.
func firstVideo(body []byte) []byte {
	head, sections := cutSections(body)
	head = keepLines(head, "v=", "o=", "s=", "c=", "t=", "a=control:")
	for _, section := range sections {
		if !bytes.HasPrefix(section, []byte("m=video")) {
			continue
		}
		// What a camera says of its video's direction is left out: some write sendonly
		// from their own side, and no video goes to a camera.
		section = dropLines(keepLines(section, "m=", "c=", "a=control:", "a=rtpmap:", "a=fmtp:"), "a=control:*")
		// Parameter sets that cannot be read come again within the stream.
		for _, one := range [][]byte{section, dropLines(section, "a=fmtp")} {
			if text := append(bytes.Clone(head), one...); parses(text) {
				return text
			}
		}
	}
	return body
}

// isRequestURL reports whether a text is one that the library can ask at; a relative one
// it completes itself.
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

// normalize puts what cameras write in their own way into the words that the library
// knows.
func normalize(r *base.Response) {
	if s := r.Header["Session"]; len(s) > 0 {
		s[0] = normalizeSession(s[0])
	}
	if s := r.Header["Transport"]; len(s) > 0 {
		s[0] = normalizeTransport(s[0])
	}
}

// normalizeSession leaves the id and, where it is a number, the timeout.
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

// normalizeTransport has its protocol in upper case, and the channels that were asked for
// where it names none.
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

// optionsUnsupported reports whether a camera says that it knows no OPTIONS, which the
// library asks first and nothing depends on.
func optionsUnsupported(method base.Method, code base.StatusCode) bool {
	switch code {
	case base.StatusBadRequest, base.StatusNotFound, base.StatusMethodNotAllowed, base.StatusNotImplemented:
		return method == base.Options
	default:
		return false
	}
}

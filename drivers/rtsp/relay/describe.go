package relay

import (
	"bytes"
	"slices"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/sdp"
)

// sift keeps from the library what it would follow to harm: Basic where a Digest
// is offered, which gives the password away; redirections, which hand it to
// another host; an address that cannot be read; and parts of a description that are
// not wanted, since one that is wrong in it spoils the whole.
func sift(r *base.Response) {
	delete(r.Header, "Location")
	if at := r.Header["Content-Base"]; len(at) > 0 && !address(at[0]) {
		delete(r.Header, "Content-Base") // what was asked for stands in its place
	}
	offers := challenges(r.Header["WWW-Authenticate"])
	if d, ok := bestDigest(offers); ok {
		r.Header["WWW-Authenticate"] = base.HeaderValue{d.plain()}
	} else if slices.ContainsFunc(offers, func(c challenge) bool { return c.scheme == "digest" }) {
		r.Header["WWW-Authenticate"] = base.HeaderValue{"Digest"} // which nobody can answer
	}
	r.Body = videoAlone(r.Body)
}

// videoAlone leaves the first video out of a description that can be read so; any
// other text it hands back as it is.
func videoAlone(body []byte) []byte {
	head, sections := cutSections(body)
	head = only(head, "v=", "o=", "s=", "c=", "t=", "a=control:")
	for _, section := range sections {
		if !bytes.HasPrefix(section, []byte("m=video")) {
			continue
		}
		// What a camera says of its video's direction is left out: some write sendonly
		// from their own side, and no video goes to a camera.
		section = without(only(section, "m=", "c=", "a=control:", "a=rtpmap:", "a=fmtp:"), "a=control:*")
		// Parameter sets that cannot be read come again within the stream.
		for _, one := range [][]byte{section, without(section, "a=fmtp")} {
			if text := append(bytes.Clone(head), one...); readable(text) {
				return text
			}
		}
	}
	return body
}

// address reports whether a text is one that the library can ask at; a relative one
// it completes itself.
func address(text string) bool {
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

func without(section []byte, prefix string) []byte {
	return lines(section, func(line []byte) bool { return !bytes.HasPrefix(line, []byte(prefix)) })
}

func only(section []byte, prefixes ...string) []byte {
	return lines(section, func(line []byte) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool { return bytes.HasPrefix(line, []byte(prefix)) })
	})
}

func lines(section []byte, keep func(line []byte) bool) (kept []byte) {
	for line := range bytes.Lines(section) {
		if keep(line) {
			kept = append(kept, line...)
		}
	}
	return kept
}

func readable(text []byte) bool {
	var parsed sdp.SessionDescription
	if parsed.Unmarshal(text) != nil {
		return false
	}
	var session description.Session
	return session.Unmarshal(&parsed) == nil
}

package relay

import (
	"bytes"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/sdp"
)

// sift keeps from the library what it would follow to harm: Basic where a Digest
// is offered, which gives the password away; redirections, which hand it to
// another host; and parts of a description that are not wanted, since one that is
// wrong in it spoils the whole.
func sift(r *base.Response) {
	delete(r.Header, "Location")
	var digests base.HeaderValue
	for _, offer := range r.Header["WWW-Authenticate"] {
		if strings.HasPrefix(strings.ToLower(offer), "digest") {
			digests = append(digests, offer)
		}
	}
	if len(digests) > 0 {
		r.Header["WWW-Authenticate"] = digests
	}
	r.Body = videoAlone(r.Body)
}

// videoAlone leaves the first video out of a description that can be read so; any
// other text it hands back as it is.
func videoAlone(body []byte) []byte {
	head, sections := cutSections(body)
	for _, section := range sections {
		if !bytes.HasPrefix(section, []byte("m=video")) || bytes.Contains(section, []byte("a=sendonly")) {
			continue
		}
		// Parameter sets that cannot be read come again within the stream.
		for _, one := range [][]byte{section, without(section, "a=fmtp")} {
			if text := append(bytes.Clone(head), one...); readable(text) {
				return text
			}
		}
	}
	return body
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
	var kept []byte
	for line := range bytes.Lines(section) {
		if !bytes.HasPrefix(line, []byte(prefix)) {
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

package relay

import (
	"crypto/md5" //nolint:gosec // it is what cameras use
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// The library answers a Digest as in RFC 2069, without qop and opaque. A camera that
// follows RFC 7616 refuses that, and the refusal looks like a wrong password.

// challenge is one offer of a WWW-Authenticate header.
type challenge struct {
	scheme string
	params map[string]string // by names in lower case
}

// challenges splits headers into their offers; one header may hold several.
func challenges(offers []string) (found []challenge) {
	const separators = " \t,"
	for _, text := range offers {
		first := len(found)
		for text = strings.TrimLeft(text, separators); text != ""; text = strings.TrimLeft(text, separators) {
			end := strings.IndexAny(text, separators+"=")
			if end < 0 {
				end = len(text)
			}
			word := text[:end]
			rest := strings.TrimLeft(text[end:], " \t")
			if !strings.HasPrefix(rest, "=") {
				found = append(found, challenge{strings.ToLower(word), map[string]string{}})
				text = rest
				continue
			}
			var value string
			value, text = parameter(strings.TrimLeft(rest[1:], " \t"))
			if len(found) > first {
				found[len(found)-1].params[strings.ToLower(word)] = value
			}
		}
	}
	return found
}

// parameter takes a value, quoted or not, from the start of a text.
func parameter(text string) (value, rest string) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, " \t,")
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:]
	}
	var b strings.Builder
	for at := 1; at < len(text); at++ {
		switch {
		case text[at] == '"':
			return b.String(), text[at+1:]
		case text[at] == '\\' && at+1 < len(text):
			at++
		}
		b.WriteByte(text[at])
	}
	return b.String(), ""
}

// digest is a challenge that can be answered.
type digest struct {
	challenge
	hash    func() hash.Hash
	session bool // the -sess of its algorithm
	qop     bool // auth is among what it offers
}

// bestDigest is the strongest supported Digest.
func bestDigest(offers []challenge) (best digest, ok bool) {
	strength := 0
	for _, c := range offers {
		algorithm, session := strings.CutSuffix(strings.ToUpper(c.params["algorithm"]), "-SESS")
		d := digest{challenge: c, session: session}
		mine := 0
		switch algorithm {
		case "", "MD5":
			d.hash, mine = md5.New, 1
		case "SHA-256":
			d.hash, mine = sha256.New, 2
		}
		qop := strings.FieldsFunc(strings.ToLower(c.params["qop"]), func(r rune) bool { return r == ',' || r == ' ' })
		d.qop = slices.Contains(qop, "auth")
		if c.scheme != "digest" || c.params["nonce"] == "" || len(qop) > 0 && !d.qop || mine <= strength {
			continue
		}
		best, ok, strength = d, true, mine
	}
	return best, ok
}

// plain is a challenge that the library supports, so that it repeats the request; its
// answer is replaced.
func (digest) plain() string { return `Digest realm="camera", nonce="camera"` }

// answer is the Authorization header; count is the number of answers to this challenge,
// from 1.
func (d digest) answer(user, password, method, uri string, count int) string {
	h := func(parts ...string) string {
		sum := d.hash()
		_, _ = sum.Write([]byte(strings.Join(parts, ":"))) // never fails, by its documentation
		return hex.EncodeToString(sum.Sum(nil))
	}
	realm, nonce, client, number := d.params["realm"], d.params["nonce"], rand.Text(), fmt.Sprintf("%08x", count)
	secret := h(user, realm, password)
	if d.session {
		secret = h(secret, nonce, client)
	}
	response := h(secret, nonce, h(method, uri))
	if d.qop {
		response = h(secret, nonce, number, client, "auth", h(method, uri))
	}
	text := "Digest username=" + quoted(user) + ", realm=" + quoted(realm) + ", nonce=" + quoted(nonce) + ", uri=" + quoted(uri) + ", response=" + quoted(response)
	if algorithm, named := d.params["algorithm"]; named {
		text += ", algorithm=" + bare(algorithm)
	}
	if opaque, named := d.params["opaque"]; named {
		text += ", opaque=" + quoted(opaque)
	}
	if d.qop {
		text += ", qop=auth, nc=" + number
	}
	if d.qop || d.session {
		text += ", cnonce=" + quoted(client)
	}
	return text
}

// bare removes the quotes; the algorithm has been matched before.
func bare(word string) string { return strings.Trim(word, `" `) }

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "", "\n", "")

func quoted(text string) string { return `"` + escapes.Replace(text) + `"` }

package relay

import (
	"crypto/md5" //nolint:gosec // it is what cameras use
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"meltwatch/drivers/rtsp/login"
)

// A camera that keeps to RFC 7616 is logged in to, and one that offers Basic beside a
// Digest in any way never gets the password readable.
func TestDigestAsRFC7616HasIt(t *testing.T) {
	md5Of := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) } //nolint:gosec // as above
	shaOf := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	for name, c := range map[string]struct {
		offers     string // lines apart
		hash       func(string) string
		qop, sess  bool
		mustReturn string
	}{
		"qop":                        {`Digest realm="a, b", nonce="n=1", qop="auth,auth-int"`, md5Of, true, false, ""},
		"opaque":                     {`digest realm="r",nonce="n",opaque="o\"p"`, md5Of, false, false, `opaque="o\"p"`},
		"SHA-256 with qop":           {`Digest qop="auth", realm="r", nonce="n", algorithm=SHA-256, opaque=""`, shaOf, true, false, `algorithm=SHA-256, opaque=""`},
		"SHA-256-sess":               {`Digest realm="r", nonce="n", algorithm=SHA-256-sess, qop="auth"`, shaOf, true, true, "algorithm=SHA-256-sess"},
		"MD5-sess, quoted":           {`Digest realm="r", nonce="n", algorithm="MD5-sess", qop=auth`, md5Of, true, true, "algorithm=MD5-sess"},
		"Basic first in one line":    {`Basic realm="r", Digest realm="r", nonce="n"`, md5Of, false, false, ""},
		"Basic last in one line":     {`Digest realm="r", nonce="n", Basic realm="r"`, md5Of, false, false, ""},
		"both digests in one line":   {`Digest realm="r", nonce="n", algorithm=MD5, Digest realm="r", nonce="n", algorithm=SHA-256`, shaOf, false, false, ""},
		"one unknown, one known":     {"Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256\nDigest realm=\"r\", nonce=\"n\"", md5Of, false, false, ""},
		"a scheme that is not known": {"Negotiate\nDigest realm=\"r\", nonce=\"n\"", md5Of, false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			numbers := map[string]bool{}
			address := plainCamera(t, "tcp4", "127.0.0.1:0", func(r *base.Request) string {
				if r.Method == base.Options {
					return oddly(r, plainSDP, "")
				}
				got := strings.Join(r.Header["Authorization"], "")
				if strings.HasPrefix(got, "Basic") {
					t.Error("the password came readable")
				}
				sent := challenges([]string{got})
				if got != "" {
					p := sent[0].params
					secret := c.hash("viewer:" + p["realm"] + ":" + password)
					if c.sess {
						secret = c.hash(secret + ":" + p["nonce"] + ":" + p["cnonce"])
					}
					want := secret + ":" + p["nonce"] + ":"
					if c.qop {
						want += p["nc"] + ":" + p["cnonce"] + ":auth:"
					}
					repeated := c.qop && numbers[p["nc"]]
					numbers[p["nc"]] = true
					if c.hash(want+c.hash(string(r.Method)+":"+p["uri"])) == p["response"] && p["uri"] == r.URL.String() && !repeated && strings.Contains(got, c.mustReturn) {
						return oddly(r, plainSDP, "")
					}
					t.Errorf("answered by %s", got)
				}
				text := "RTSP/1.0 401 Unauthorized\r\nCSeq: " + r.Header["CSeq"][0] + "\r\n"
				for line := range strings.SplitSeq(c.offers, "\n") {
					text += "WWW-Authenticate: " + line + "\r\n"
				}
				return text + "\r\n"
			})
			s := settings("rtsp://" + address + "/stream")
			s.Username, s.Password = "viewer", password
			if err := attempt(t, s, login.Open("")); err != nil {
				t.Error(err)
			}
		})
	}
}

func FuzzChallenges(f *testing.F) {
	f.Add(`Digest realm="a, b", nonce="n\"", qop=auth`)
	f.Add(`Basic, = ,,Digest nonce=`)
	f.Fuzz(func(t *testing.T, text string) {
		sanitize(&base.Response{Header: base.Header{"WWW-Authenticate": {text}}})
		if d, ok := bestDigest(challenges([]string{text})); ok {
			answer := d.answer(text, text, "PLAY", text, 1)
			if strings.ContainsAny(answer, "\r\n") {
				t.Errorf("%q is more than a line", answer)
			}
			back := challenges([]string{answer})
			if len(back) != 1 {
				t.Errorf("%q holds %d answers", answer, len(back))
			}
		}
	})
}

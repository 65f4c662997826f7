package relay

import (
	"strconv"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
)

// tidy puts what cameras write in their own way into the words that the library
// knows.
func tidy(r *base.Response) {
	if s := r.Header["Session"]; len(s) > 0 {
		s[0] = session(s[0])
	}
	if s := r.Header["Transport"]; len(s) > 0 {
		s[0] = transport(s[0])
	}
}

// session leaves the id and, where it is a number, the timeout.
func session(text string) string {
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

// transport has its protocol in upper case, and the channels that were asked for
// where it names none.
func transport(text string) string {
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

// dispensable reports whether a camera says that it knows no OPTIONS, which the
// library asks first and nothing depends on.
func dispensable(method base.Method, code base.StatusCode) bool {
	switch code {
	case base.StatusBadRequest, base.StatusNotFound, base.StatusMethodNotAllowed, base.StatusNotImplemented:
		return method == base.Options
	default:
		return false
	}
}

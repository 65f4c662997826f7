package rtsptest

import (
	"bufio"
	"crypto/md5" //nolint:gosec // it is what cameras use
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
)

// Scripted is a camera on plain sockets that follows its fields, so that it can do what
// a correct server does not. With the zero value it serves its SDP over TCP and UDP
// without a log-in. Set the fields before Serve.
type Scripted struct {
	// SDP describes one video track with the control "video".
	SDP string
	// Schemes are the offered log-ins in order: "Basic", "MD5", "SHA-256". They require
	// User and Password.
	User, Password string
	Schemes        []string
	// SingleUse has each challenge answered once; the next request needs a new one, and is
	// told so by the parameter stale.
	SingleUse bool
	// TCP and UDP are the supported transports of RTP; neither set means both.
	TCP, UDP bool
	// Answer may replace the camera's answer to a request: nil keeps it, and an answer
	// without a status ends the connection.
	Answer func(r *base.Request) *base.Response
	// OnConnect may take a connection over as soon as it is there.
	OnConnect func(net.Conn) bool
	// TLS is used if it is set.
	TLS *tls.Config

	listener net.Listener
	udp      net.PacketConn
	running  sync.WaitGroup

	mu        sync.Mutex
	viewers   map[net.Conn]net.Addr // an address for one of UDP
	Refused   int                   // log-ins
	Accepted  int
	Cleartext int // passwords received in clear text
	round     int // of the challenges
	conns     []net.Conn
}

// Serve starts the camera; it ends with the test.
func (p *Scripted) Serve(t testing.TB) {
	t.Helper()
	var err error
	if p.listener, err = new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if p.udp, err = new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	p.viewers = map[net.Conn]net.Addr{}
	if p.TLS != nil {
		p.listener = tls.NewListener(p.listener, p.TLS)
	}
	p.running.Go(func() {
		for {
			conn, err := p.listener.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, conn)
			p.mu.Unlock()
			p.running.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_, _ = p.listener.Close(), p.udp.Close()
		p.mu.Lock()
		for _, conn := range p.conns {
			_ = conn.Close()
		}
		p.mu.Unlock()
		p.running.Wait()
	})
}

// URL is the address of the stream.
func (p *Scripted) URL() string {
	scheme := "rtsp"
	if p.TLS != nil {
		scheme = "rtsps"
	}
	return scheme + "://" + p.listener.Addr().String() + "/stream"
}

// Logins are how many log-ins were refused and accepted, and how many passwords arrived
// in clear text.
func (p *Scripted) Logins() (refused, accepted, readable int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Refused, p.Accepted, p.Cleartext
}

// Send sends an RTP packet to every viewer.
func (p *Scripted) Send(packet []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn, address := range p.viewers {
		var err error
		if address != nil {
			_, err = p.udp.WriteTo(packet, address)
		} else {
			head := []byte{'$', 0, byte(len(packet) >> 8), byte(len(packet))}
			_, err = conn.Write(append(head, packet...))
		}
		if err != nil {
			delete(p.viewers, conn)
		}
	}
}

func (p *Scripted) serve(conn net.Conn) {
	defer func() {
		p.mu.Lock()
		delete(p.viewers, conn)
		p.mu.Unlock()
		_ = conn.Close()
	}()
	if p.OnConnect != nil && p.OnConnect(conn) {
		return
	}
	in := bufio.NewReader(conn)
	var address net.Addr
	for {
		if first, err := in.Peek(1); err == nil && first[0] == '$' { // the viewer's reports
			if (&base.InterleavedFrame{}).Unmarshal(in) != nil {
				return
			}
			continue
		}
		var request base.Request
		if request.Unmarshal(in) != nil {
			return
		}
		answer, plays := p.answer(&request, &address)
		if answer.StatusCode == 0 {
			return
		}
		if answer.Header == nil {
			answer.Header = base.Header{}
		}
		answer.Header["CSeq"] = request.Header["CSeq"]
		text, err := answer.Marshal()
		if err != nil {
			return
		}
		p.mu.Lock()
		_, err = conn.Write(text)
		if err == nil && plays {
			p.viewers[conn] = address
		}
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

var clientPort = regexp.MustCompile(`client_port=(\d+)`)

func (p *Scripted) answer(r *base.Request, address *net.Addr) (answer *base.Response, plays bool) {
	if p.Answer != nil {
		if answer = p.Answer(r); answer != nil {
			return answer, false
		}
	}
	if len(p.Schemes) > 0 && r.Method != base.Options && !p.authorized(r) {
		return &base.Response{StatusCode: base.StatusUnauthorized, Header: base.Header{"WWW-Authenticate": p.offers(r)}}, false
	}
	answer = &base.Response{StatusCode: base.StatusOK, Header: base.Header{"Session": {"12345678"}}}
	switch r.Method {
	case base.Describe:
		answer.Header["Content-Type"] = base.HeaderValue{"application/sdp"}
		answer.Header["Content-Base"] = base.HeaderValue{p.URL() + "/"}
		answer.Body = []byte(p.SDP)
	case base.Setup:
		asked := strings.Join(r.Header["Transport"], ",")
		port := clientPort.FindStringSubmatch(asked)
		both := !p.TCP && !p.UDP
		switch {
		case port == nil && (p.TCP || both):
			*address, answer.Header["Transport"] = nil, base.HeaderValue{"RTP/AVP/TCP;unicast;interleaved=0-1"}
		case port != nil && (p.UDP || both):
			number, _ := strconv.Atoi(port[1])
			*address = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: number}
			mine := p.udp.LocalAddr().(*net.UDPAddr).Port
			answer.Header["Transport"] = base.HeaderValue{fmt.Sprintf("RTP/AVP/UDP;unicast;client_port=%d-%d;server_port=%d-%d", number, number+1, mine, mine+1)}
		default:
			return &base.Response{StatusCode: base.StatusUnsupportedTransport}, false
		}
	case base.Play:
		plays = true
	}
	return answer, plays
}

func (p *Scripted) offers(r *base.Request) (offers base.HeaderValue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stale := ""
	if p.SingleUse && len(r.Header["Authorization"]) > 0 {
		p.round++
		stale = ", stale=TRUE"
	}
	for _, scheme := range p.Schemes {
		if scheme == "Basic" {
			offers = append(offers, `Basic realm="cam"`)
			continue
		}
		offers = append(offers, fmt.Sprintf(`Digest realm="cam", nonce="%s", algorithm=%s%s`, p.nonce(), scheme, stale))
	}
	return offers
}

// nonce is the current challenge. The caller holds mu.
func (p *Scripted) nonce() string { return fmt.Sprintf("a1b2c3d4%d", p.round) }

var pair = regexp.MustCompile(`(\w+)="?([^",]*)"?`)

// authorized checks a log-in and counts it once a session, by DESCRIBE.
func (p *Scripted) authorized(r *base.Request) bool {
	given := strings.Join(r.Header["Authorization"], "")
	if given == "" {
		return false
	}
	var right bool
	if strings.HasPrefix(given, "Basic") {
		p.count(&p.Cleartext)
		right = strings.TrimPrefix(given, "Basic ") == base64Of(p.User+":"+p.Password)
	} else {
		fields := map[string]string{}
		for _, found := range pair.FindAllStringSubmatch(given, -1) {
			fields[found[1]] = found[2]
		}
		sum := sumOf(md5.New)
		if strings.EqualFold(fields["algorithm"], "SHA-256") {
			sum = sumOf(sha256.New)
		}
		p.mu.Lock()
		nonce := p.nonce()
		p.mu.Unlock()
		if fields["nonce"] != nonce && p.SingleUse {
			return false // an expired challenge, not a wrong password
		}
		right = fields["response"] == sum(sum(p.User+":cam:"+p.Password)+":"+nonce+":"+sum(string(r.Method)+":"+fields["uri"]))
	}
	switch {
	case !right:
		p.count(&p.Refused)
	case r.Method == base.Describe:
		p.count(&p.Accepted)
	}
	if right && p.SingleUse {
		p.count(&p.round)
	}
	return right
}

func (p *Scripted) count(what *int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*what++
}

func sumOf(make func() hash.Hash) func(string) string {
	return func(text string) string {
		h := make()
		_, _ = io.WriteString(h, text)
		return hex.EncodeToString(h.Sum(nil))
	}
}

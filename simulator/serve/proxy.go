package serve

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// proxy stands between the meter and its clients and applies the current fault to each
// exchange. Like a small PLC it serves a connection's requests one after the other.
type proxy struct {
	address  string // of the first listener, used again after a reboot
	upstream string
	gap      func() bool // the scenario's own silence
	quit     chan struct{}
	running  sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while down and after the end
	conns    map[net.Conn]bool
	fault    MeterFault
	ended    bool
}

// startProxy listens until end is called.
func startProxy(address, upstream string, gap func() bool) (*proxy, error) {
	p := &proxy{
		address: address, upstream: upstream, gap: gap,
		quit: make(chan struct{}), conns: map[net.Conn]bool{}, fault: MeterFine,
	}
	if err := p.listen(); err != nil {
		return nil, err
	}
	p.address = p.listener.Addr().String()
	return p, nil
}

// end closes the proxy and waits for its goroutines.
func (p *proxy) end() {
	p.mu.Lock()
	p.ended = true
	close(p.quit)
	p.shut()
	p.mu.Unlock()
	p.running.Wait()
}

// setFault applies f from the next request on. MeterDown starts and ends at once.
func (p *proxy) setFault(f MeterFault) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	switch {
	case p.ended:
		return nil
	case f == MeterDown:
		p.shut()
		return nil
	case p.listener == nil:
		return p.listen()
	}
	return nil
}

func (p *proxy) current() MeterFault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault
}

// listen starts listening. The caller holds mu or has not shared p yet.
func (p *proxy) listen() error {
	l, err := net.Listen("tcp", p.address) //nolint:noctx // binding a port does not wait
	if err != nil {
		return fmt.Errorf("listen for meter clients: %w", err)
	}
	p.listener = l
	p.running.Go(func() { p.accept(l) })
	return nil
}

// shut closes the listener and every connection. The caller holds mu.
func (p *proxy) shut() {
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	for conn := range p.conns {
		conn.Close()
	}
}

func (p *proxy) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // the listener was closed
		}
		if !p.admit(l, conn) {
			conn.Close()
			continue
		}
		p.running.Go(func() {
			defer p.forget(conn)
			p.serve(conn)
		})
	}
}

// admit registers a connection unless the listener was closed meanwhile or there are too
// many connections.
func (p *proxy) admit(l net.Listener, conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != l || len(p.conns) >= mostClients {
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *proxy) forget(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
	conn.Close()
}

// serve answers one client until either side closes or breaks the framing.
func (p *proxy) serve(client net.Conn) {
	meter, err := net.DialTimeout("tcp", p.upstream, lateBy) //nolint:noctx // the loopback interface answers at once
	if err != nil {
		return // closes the client's connection, like a meter that dies
	}
	defer meter.Close()
	for {
		request, err := readADU(client)
		if err != nil {
			return
		}
		fault := p.current()
		switch {
		case fault == MeterReset:
			reset(client)
			return
		case fault == MeterSilent || p.gap():
			continue
		}
		reply, err := exchange(meter, request)
		if err != nil {
			return
		}
		if fault == MeterLate && !pause(p.quit, lateBy) {
			return
		}
		if _, err := client.Write(mangle(fault, reply)); err != nil {
			return
		}
	}
}

func exchange(meter net.Conn, request []byte) ([]byte, error) {
	if _, err := meter.Write(request); err != nil {
		return nil, err
	}
	return readADU(meter)
}

// reset closes a connection with RST instead of FIN.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		// A connection with an error is closing anyway.
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// pause waits for d and returns false if done closes first.
func pause(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return false
	case <-t.C:
		return true
	}
}

// An ADU of Modbus TCP (Messaging Implementation Guide V1.0b, §3.1.3):
//
//	transaction 2 | protocol 2 (zero) | length 2 | unit 1 | function 1 | data
//
// length counts from the unit on.
const (
	adUnit      = 6
	adFunction  = 7
	leastLength = 2
	mostLength  = 254
)

// readADU reads one whole ADU. Broken framing is an error, because nothing after it can
// be trusted.
func readADU(r io.Reader) ([]byte, error) {
	adu := make([]byte, adUnit, adUnit+mostLength)
	if _, err := io.ReadFull(r, adu); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint16(adu[4:]))
	if protocol := binary.BigEndian.Uint16(adu[2:]); protocol != 0 || length < leastLength || length > mostLength {
		return nil, fmt.Errorf("read modbus header: protocol %d, length %d", protocol, length)
	}
	adu = adu[:adUnit+length]
	_, err := io.ReadFull(r, adu[adUnit:])
	return adu, err
}

// mangle turns a correct reply into the one that the fault sends.
func mangle(f MeterFault, reply []byte) []byte {
	switch f {
	case MeterTruncated:
		return reply[:len(reply)/2]
	case MeterWrongID:
		reply[1]++
		return reply
	case MeterException:
		const deviceFailure = 4
		return []byte{reply[0], reply[1], 0, 0, 0, 3, reply[adUnit], reply[adFunction] | 0x80, deviceFailure}
	}
	return reply
}

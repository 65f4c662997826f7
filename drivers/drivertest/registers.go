package drivertest

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
)

// Rewrite turns a correct answer to a request into the one that is sent, both complete
// Modbus TCP frames; nil sends nothing.
type Rewrite func(request, right []byte) []byte

// Registers is a Modbus TCP meter with the given registers, from 0; others read 0.
// rewrite, if not nil, changes each answer. url is tcp://host:port.
func Registers(t *testing.T, registers []uint16, rewrite Rewrite) (url string) {
	t.Helper()
	return Serve(t, func(conn net.Conn) { serveRegisters(conn, registers, rewrite) })
}

func serveRegisters(conn net.Conn, registers []uint16, rewrite Rewrite) {
	defer conn.Close()
	request := make([]byte, 12)
	for {
		if _, err := io.ReadFull(conn, request); err != nil {
			return
		}
		first, count := int(binary.BigEndian.Uint16(request[8:])), int(binary.BigEndian.Uint16(request[10:]))
		right := append([]byte{}, request[:4]...)
		right = binary.BigEndian.AppendUint16(right, uint16(3+2*count))
		right = append(right, request[6], request[7], byte(2*count))
		for i := range count {
			value := uint16(0)
			if first+i < len(registers) {
				value = registers[first+i]
			}
			right = binary.BigEndian.AppendUint16(right, value)
		}
		if rewrite != nil {
			right = rewrite(request, right)
		}
		if _, err := conn.Write(right); err != nil {
			return
		}
	}
}

package modbus

import (
	"fmt"
	"io"
	"testing"
	"time"

	"meltwatch/config"
)

// Over RTU a reply that comes too late is never taken for another's, whichever
// read it answers, also once reads are divided.
func TestLateReplyToADividedRead(t *testing.T) {
	for late := 8; late < 12; late++ {
		t.Run(fmt.Sprint("answer ", late), func(t *testing.T) {
			t.Parallel()
			d := newDevice(t, schemeRTUTCP)
			m := meter(d.url(), 7)
			point(6)(m)
			var held []byte
			answered := 0
			d.play(1<<30, func(d *device, conn io.ReadWriteCloser, request, good []byte) []byte {
				if _, quantity := span(d, request); quantity > 4 {
					return exception(3)(d, conn, request, good)
				}
				if answered++; answered == late {
					held = good
					return nil
				}
				if held != nil {
					_, _ = conn.Write(held)
					held = nil
					time.Sleep(30 * time.Millisecond) // then the answer to this request
				}
				return good
			})
			p := watch(t, map[string]config.Meter{"main": m})
			for good := 0; good < 6; {
				if p.report(t).Err == nil {
					d.checkSample(t, <-p.samples)
					good++
				}
			}
		})
	}
}

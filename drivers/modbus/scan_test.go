package modbus

import (
	"strings"
	"testing"
	"time"
)

// A scanner has no way to write.
func TestScannerReadsOnly(t *testing.T) {
	d := newDevice(t, schemeTCP)
	s, err := NewScanner(meter(d.url(), 1), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, function := range []int{0, 5, 6, 15, 16, 22, 23, -1, 256 + 6} {
		if _, _, err := s.Read(t.Context(), time.Second, Query{Unit: 1, Function: function, Quantity: 1}); err == nil || !strings.Contains(err.Error(), "does not read") {
			t.Errorf("function %d: %v", function, err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.requests > 0 {
		t.Errorf("%d requests came", d.requests)
	}
}

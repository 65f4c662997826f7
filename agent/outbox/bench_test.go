package outbox

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"meltwatch/durable"
)

var payload350 = []byte(strings.Repeat("x", 350))

func BenchmarkAppendEvent(b *testing.B) {
	l, _ := open(b, durable.Folder(b.TempDir()), roomy())
	for b.Loop() {
		l.Append(Event, payload350)
	}
}

func BenchmarkAppendInGroupsOf100(b *testing.B) {
	l, _ := open(b, durable.Folder(b.TempDir()), roomy())
	for b.Loop() {
		for range 100 {
			l.Return(Current, []uint64{l.Append(Current, payload350)})
		}
		l.Sync()
	}
	b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// filled returns a folder with n records of current.
func filled(tb testing.TB, n int) durable.Folder {
	tb.Helper()
	disk := durable.Folder(tb.TempDir())
	settings := roomy()
	settings.MemoryRecords = 2500
	l, _ := open(tb, disk, settings)
	for i := range n {
		l.Return(Current, []uint64{l.Append(Current, fmt.Appendf(nil, "%08d%s", i, payload350))})
	}
	if err := l.Close(); err != nil {
		tb.Fatal(err)
	}
	return disk
}

func BenchmarkOpenMillion(b *testing.B) {
	disk := filled(b, 1_000_000)
	for b.Loop() {
		open(b, disk, roomy())
	}
}

func BenchmarkTakeAndAck(b *testing.B) {
	l, _ := open(b, filled(b, 200_000), roomy())
	n := 0
	for b.Loop() {
		numbers, _ := l.Take(Current, 20)
		if len(numbers) == 0 {
			b.StopTimer()
			l, _ = open(b, filled(b, 200_000), roomy())
			b.StartTimer()
		}
		l.Ack(Current, numbers)
		n += len(numbers)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}

// A million waiting records need the memory of one segment.
func TestMemoryDoesNotGrowWithWaitingRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 370 MB")
	}
	disk := filled(t, 1_000_000)
	before := heap()
	l, _ := open(t, disk, roomy())
	for i := range 500 {
		numbers, payloads := l.Take(Current, 20)
		if len(numbers) != 20 || !strings.HasPrefix(string(payloads[0]), fmt.Sprintf("%08d", 20*i)) {
			t.Fatalf("message %d: %d records", i, len(numbers))
		}
	}
	grown := int64(heap()) - int64(before)
	t.Logf("heap grew by %d KiB with %d records waiting", grown>>10, l.Counters()["waiting_current"])
	if grown > 8<<20 {
		t.Errorf("heap grew by %d bytes, want 8 MiB at most", grown)
	}
	runtime.KeepAlive(l)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

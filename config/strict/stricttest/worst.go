// Package stricttest makes the documents that are most expensive to read, and tests
// that their cost stays within its limit.
package stricttest

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Worst returns JSON objects of nearly `size` bytes by what makes them expensive. Some
// are invalid JSON.
func Worst(size int) map[string][]byte {
	fill := func(before, each, after string) []byte {
		var b strings.Builder
		b.WriteString(before)
		for i := 0; b.Len() < size-len(each)-len(after)-16; i++ {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.ReplaceAll(each, "#", fmt.Sprint(i)))
		}
		return []byte(b.String() + after)
	}
	long := func(before, each, after string) []byte {
		return []byte(before + strings.Repeat(each, (size-len(before)-len(after))/len(each)) + after)
	}
	deep := strings.Repeat(`{"a":`, 11) + "{"
	return map[string][]byte{
		"unknown keys":             fill(`{`, `"k#":1`, `}`),
		"unknown keys, null":       fill(`{`, `"k#":null`, `}`),
		"unknown keys, nearly one": fill(`{"camera":{`, `"urk#":1`, `}}`),
		"one key over and over":    fill(`{`, `"k":1`, `}`),
		"known key over and over":  fill(`{`, `"site":"x"`, `}`),
		"folded keys":              fill(`{`, `"SITE#":"x"`, `}`),
		"brokers":                  fill(`{"mqtt":{"brokers":{`, `"b#":{"url":"tcp://h:1"}`, `}}}`),
		"meters":                   fill(`{"meters":{`, `"m#":{}`, `}}`),
		"fields":                   fill(`{"meters":{"main":{"fields":{`, `"f#":{}`, `}}}}`),
		"meters, all null":         fill(`{"meters":{`, `"m#":null`, `}}`),
		"keys of the box":          fill(`{"trust":{"config_keys":{`, `"k#":"AAAA"`, `}}}`),
		"deep and wide":            fill(deep, `"k#":{}`, strings.Repeat("}", 12)),
		"a long key":               long(`{"`, "x", `":1}`),
		"a long text":              long(`{"site":"`, "x", `"}`),
		"escapes":                  long(`{"site":"`, `\u0041`, `"}`),
		"surrogates":               long(`{"site":"`, `\ud83d\ude00`, `"}`),
		"quotes":                   long(`{"site":"`, `\"`, `"}`),
		"not UTF-8":                long(`{"site":"`, "\xff", `"}`),
		"a long number":            long(`{"site":`, "9", `}`),
		"a long fraction":          long(`{"site":0.`, "9", `}`),
		"a list of numbers":        fill(`{"meters":{"main":{"fields":{"current_a":{"missing":[`, `1`, `]}}}}}`),
		"a list of lists":          fill(`{"site":[`, `[]`, `]}`),
		"open brackets":            long(`{"site":`, "[", ``),
		"open braces":              long(`{"site":`, `{"a":`, ``),
		"closed brackets":          long(`{"site":1`, "]", ``),
		"spaces":                   long(`{`, " ", `}`),
		"commas":                   long(`{"a":[`, ",", `]}`),
		"NUL bytes":                long("", "\x00", ""),
	}
}

// CheckBounded tests handle's limit: 0.2 s of CPU for a document of 255 KiB, and at most
// three times the work for twice the bytes. A busy machine or the race detector may
// take several times as long, so the first limit is applied loosely; the second finds
// work that is not linear.
func CheckBounded(t *testing.T, handle func(document []byte)) {
	t.Helper()
	size := 255 << 10
	if testing.Short() { // as under the race detector
		size = 32 << 10
	}
	whole, half := Worst(size), Worst(size/2)
	for name, document := range whole {
		var took, before time.Duration
		for try := 0; ; try++ {
			took, before = cpu(func() { handle(document) }), cpu(func() { handle(half[name]) })
			linear := took < 3*max(before, 3*time.Millisecond)
			if linear && took < time.Second {
				break
			}
			if try == 4 {
				t.Errorf("%s: %d bytes take %s of CPU, half of it %s", name, len(document), took, before)
				break
			}
		}
		t.Logf("%-26s %7d bytes %8.1f ms, half of it %6.1f ms", name, len(document), took.Seconds()*1000, before.Seconds()*1000)
	}
}

func cpu(f func()) time.Duration {
	began := used()
	f()
	return used() - began
}

// used is the CPU time of this process.
func used() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

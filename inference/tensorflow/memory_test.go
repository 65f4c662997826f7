package tensorflow

import (
	"bufio"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/procfs"

	"meltwatch/inference"
)

// Only what can be read again from the library's file is dropped.
func TestOnlyCleanPagesAreDropped(t *testing.T) {
	const text = `7f01d2400000-7f01db3a0000 r--p 00000000 fe:00 11 /lib/libtensorflow_cc.so.2
Rss:               78168 kB
Anonymous:             0 kB
Swap:                  0 kB
SwapPss:               0 kB
VmFlags: rd mr mw me sd
7f01db3a0000-7f01ed170000 r-xp 08f9f000 fe:00 11 /lib/libtensorflow_cc.so.2
Anonymous:             0 kB
Swap:                  0 kB
7f01ed170000-7f01ed7a2000 r--p 1ad6e000 fe:00 11 /lib/libtensorflow_cc.so.2
Anonymous:          6324 kB
Swap:                  0 kB
7f01ed7a2000-7f01ed7b2000 rw-p 1b39f000 fe:00 11 /lib/libtensorflow_cc.so.2
Anonymous:             0 kB
Swap:                  0 kB
7f01ed7b2000-7f01ed7c2000 r-xp 00000000 fe:00 12 /lib/libc.so.6
Anonymous:             0 kB
Swap:                  0 kB
7f01ed7c2000-7f01ed7d2000 r--p 00000000 00:00 0
Anonymous:             0 kB
Swap:                  0 kB
`
	got, err := clean(bufio.NewScanner(strings.NewReader(text)), "libtensorflow")
	if err != nil {
		t.Fatal(err)
	}
	want := []mapping{
		{0x7f01d2400000, 0x7f01db3a0000, "/lib/libtensorflow_cc.so.2"},
		{0x7f01db3a0000, 0x7f01ed170000, "/lib/libtensorflow_cc.so.2"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mapping{})); diff != "" {
		t.Errorf("mappings (-want +have):\n%s", diff)
	}
}

// Relocated pages that were swapped out are in no count of memory, and to drop them would
// end the process. What a kernel does not tell stays too.
func TestPagesThatMayHaveBeenChangedStay(t *testing.T) {
	const head = "7f01ed170000-7f01ed7a2000 r--p 1ad6e000 fe:00 11 /lib/libtensorflow_cc.so.2\n"
	for name, lines := range map[string]string{
		"swapped out":           "Anonymous:             0 kB\nSwap:               6324 kB\n",
		"partly swapped out":    "Anonymous:            64 kB\nSwap:               6260 kB\n",
		"swap is not told":      "Anonymous:             0 kB\nVmFlags: rd mr mw me sd\n",
		"anonymous is not told": "Swap:                  0 kB\n",
		"nothing is told":       "",
		"another unit":          "Anonymous: 0\nSwap: 0\n",
	} {
		t.Run(name, func(t *testing.T) {
			// The next mapping's counts are its own.
			text := head + lines + "7f01ed7b2000-7f01ed7c2000 r-xp 00000000 fe:00 12 /lib/libc.so.6\nAnonymous:             0 kB\nSwap:                  0 kB\n"
			if got, err := clean(bufio.NewScanner(strings.NewReader(text)), "libtensorflow"); err != nil || len(got) > 0 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// An address that cannot be read is an error, and nothing is dropped.
func TestADamagedAddressIsAnError(t *testing.T) {
	const text = "here-there r--p 00000000 fe:00 11 /lib/libtensorflow_cc.so.2\nAnonymous: 0 kB\nSwap: 0 kB\n"
	if got, err := clean(bufio.NewScanner(strings.NewReader(text)), "libtensorflow"); err == nil || len(got) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A loaded model maps no more of the library than it needs, and decides as before.
func TestLoadedModelMapsWhatItNeeds(t *testing.T) {
	model, err := Open(product)
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	window := inference.Window{}
	step := model.Manifest().Signatures[inference.Step].Inputs
	for name, into := range map[string]*[]float32{
		"tokens": &window.Tokens, "frame_mask": &window.FrameMask, "current": &window.Current, "sample_mask": &window.SampleMask,
	} {
		*into = make([]float32, step[name].Elements())
	}
	before, err := model.Step(window)
	if err != nil {
		t.Fatal(err)
	}
	if err := GiveBack(); err != nil {
		t.Fatal(err)
	}
	after, err := model.Step(window)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("outputs (-before +after):\n%s", diff)
	}
	process, err := procfs.Self()
	if err != nil {
		t.Fatal(err)
	}
	status, err := process.NewStatus()
	if err != nil {
		t.Fatal(err)
	}
	const most = 120 << 20
	if status.RssFile > most {
		t.Errorf("%d MiB of files are mapped, want %d at most", status.RssFile>>20, most>>20)
	}
}

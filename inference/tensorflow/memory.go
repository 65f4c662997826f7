package tensorflow

// #include <malloc.h>
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// GiveBack gives the kernel the memory back that only TensorFlow's start and the loading of a
// model have touched: 200 of 295 MB. What was freed goes at once. The pages of the library
// stay in the kernel's cache, which drops them when memory is short, and come back when they
// are touched.
func GiveBack() error {
	C.malloc_trim(0)
	file, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer file.Close()
	all, err := clean(bufio.NewScanner(file), "libtensorflow")
	if err != nil {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	for _, m := range all {
		if _, _, fault := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED); fault != 0 {
			return fmt.Errorf("unmap pages of %s: %w", m.path, fault)
		}
	}
	return nil
}

// mapping is a piece of a file in memory.
type mapping struct {
	from, to uintptr
	path     string
}

// clean returns the mappings of files whose names begin with prefix that hold what the file
// holds, and cannot be written to: what is dropped is read again. text is /proc/self/smaps.
//
// A page that differs from the file, as the loader's relocations do, is counted as anonymous
// while it is in memory, and as swap while it is not. A mapping whose lines do not say that
// both are 0 stays.
func clean(text *bufio.Scanner, prefix string) (all []mapping, err error) {
	var candidate *mapping
	unchanged := 0 // of the two counts, those that are 0
	for text.Scan() {
		words := strings.Fields(text.Text())
		switch {
		case len(words) >= 5 && strings.Contains(words[0], "-"):
			candidate, unchanged = nil, 0
			if len(words) < 6 || strings.Contains(words[1], "w") || !strings.HasPrefix(filepath.Base(words[5]), prefix) {
				continue
			}
			candidate = &mapping{path: words[5]}
			if _, err := fmt.Sscanf(words[0], "%x-%x", &candidate.from, &candidate.to); err != nil {
				return nil, fmt.Errorf("address %q: %w", words[0], err)
			}
		case candidate != nil && len(words) == 3 && words[1] == "0" && (words[0] == "Anonymous:" || words[0] == "Swap:"):
			if unchanged++; unchanged == 2 {
				all = append(all, *candidate)
			}
		}
	}
	return all, text.Err()
}

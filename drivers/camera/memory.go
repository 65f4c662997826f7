package main

import (
	"fmt"
	"syscall"
)

// mostMemory limits this process's own memory, in bytes. Measured: 224 MB at 1280×720
// and 345 MB at 3840×2160 on two cores; each further core's decoder thread takes a
// picture more. Under the unit's MemoryMax the whole service would be killed for this
// process; under this bound it alone fails.
const mostMemory = 640 << 20

// boundMemory makes the process's own allocations fail at the limit. Pages of files
// and address space that is only reserved, of which Go reserves much, do not count.
func boundMemory() error {
	limit := syscall.Rlimit{Cur: mostMemory, Max: mostMemory}
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &limit); err != nil {
		return fmt.Errorf("bound memory: %w", err)
	}
	return nil
}

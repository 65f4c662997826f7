package durable

import (
	"fmt"
	"os"
	"strings"
)

// KernelBootID is the kernel's boot id. It changes when the machine starts again, and
// CLOCK_BOOTTIME may be compared within one boot id only.
func KernelBootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the kernel's boot id: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

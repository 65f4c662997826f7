package durable

import (
	"fmt"
	"os"
	"strings"
)

// KernelBoot is the kernel's boot id. It changes when the machine starts again, and
// CLOCK_BOOTTIME may be compared within one boot id only.
func KernelBoot() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the kernel's boot id: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

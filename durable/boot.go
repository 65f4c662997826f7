package durable

import (
	"fmt"
	"os"
	"strings"
)

// KernelBoot returns the kernel's boot id. It changes when the machine restarts; values
// of CLOCK_BOOTTIME are comparable within one boot id only.
func KernelBoot() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the kernel's boot id: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

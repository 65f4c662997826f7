package login

import (
	"sync"
	"time"

	"meltwatch/durable"

	"golang.org/x/sys/unix"
)

// instant is a time by the wall clock and, within one boot of the box, by the boot
// clock, which cannot be set.
type instant struct {
	At     time.Time     `json:"at"`
	Boot   string        `json:"boot"`
	Uptime time.Duration `json:"uptime_ns"`
}

// since is the time from before to i, never negative.
func (i instant) since(before instant) time.Duration {
	if i.Boot != "" && i.Boot == before.Boot {
		return max(i.Uptime-before.Uptime, 0)
	}
	return max(i.At.Sub(before.At), 0)
}

// boot is the kernel's boot id, empty if it is unknown.
var boot = sync.OnceValue(func() string {
	id, err := durable.KernelBootID()
	if err != nil {
		return ""
	}
	return id
})

func now() instant {
	i := instant{At: time.Now()}
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err == nil {
		i.Boot, i.Uptime = boot(), time.Duration(up.Nano())
	}
	return i
}

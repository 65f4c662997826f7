package simtest

import (
	"fmt"
	"time"
)

// hostClock is the box's clock. It is wrong from a power cut to the first
// synchronisation if the box has no real-time clock, and after it is set wrong.
type hostClock struct {
	*loop
	boot    int // of the kernel
	booted  time.Time
	off     time.Duration // how far it is ahead while unsynced
	jumped  time.Duration // by how much it was set wrong
	synced  bool
	settled time.Time // when it was last corrected
}

func (c *hostClock) Wall(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(c.off + c.jumped).UTC().Round(0)
}

func (c *hostClock) Boot() time.Duration { return time.Since(c.booted) }
func (c *hostClock) Synced() bool        { return c.synced }

func (c *hostClock) kernel() string { return fmt.Sprintf(`"kernel_boot":"kernel %d"`, c.boot) }

// powerUp begins a run of the kernel.
func (c *hostClock) powerUp() {
	c.boot++
	c.booted = time.Now()
	c.off, c.jumped, c.synced = 0, 0, true
	if c.chance(0.5) {
		return
	}
	c.off, c.synced = -time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), false
	boot := c.boot
	c.after(c.between(time.Second, 10*time.Minute), func() {
		if c.boot == boot {
			c.tell("clock set")
			c.off, c.synced, c.settled = 0, true, time.Now()
		}
	})
}

// jump sets the clock wrong by a day, and corrects it later.
func (c *hostClock) jump() {
	c.jumped = 24 * time.Hour
	if c.chance(0.5) {
		c.jumped = -c.jumped
	}
	boot := c.boot
	c.after(c.some(5*time.Minute), func() {
		if c.boot == boot {
			c.jumped, c.settled = 0, time.Now()
		}
	})
}

// wrong reports whether an arriving record may have a wrong time, because a wrong clock
// corrected it.
func (c *hostClock) wrong(restamped bool) bool {
	return restamped && (c.jumped != 0 || time.Since(c.settled) < time.Minute)
}

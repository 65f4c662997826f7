package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// lowestNice is the least important niceness.
const lowestNice = 19

// yieldToTheWatch gives this process, and the children that it starts, the lowest priority:
// the watch that may run beside it goes first, for the processor and when memory runs out.
func yieldToTheWatch() error {
	// The kernel kills by this score; without it the size decides.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	// The priority is one of each thread, and threads inherit it from the one that starts
	// them: a thread may start another one meanwhile.
	const passes = 20
	for range passes {
		all, err := lowerThreads()
		if err != nil {
			return fmt.Errorf("lower the priority of this process: %w; the service needs the unit of this release", err)
		}
		if all {
			return nil
		}
	}
	return errors.New("lower the priority of this process: its threads change too fast; try again")
}

// lowerThreads lowers the priority of all threads. It reports whether all of them had it
// already.
func lowerThreads() (all bool, err error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return false, err
	}
	all = true
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return false, err
		}
		const kernel = 20 // the kernel answers 20 − niceness
		now, err := unix.Getpriority(unix.PRIO_PROCESS, id)
		if err == nil && now != kernel-lowestNice {
			all = false
			err = unix.Setpriority(unix.PRIO_PROCESS, id, lowestNice)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) { // the thread has ended
			return false, err
		}
	}
	return all, nil
}

package rig

import (
	"os"
	"os/exec"
	"testing"
)

func TestProcessesAreRead(t *testing.T) {
	sleep := exec.CommandContext(t.Context(), "sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sleep.Wait() }() // killed: that is its error
	defer func() { _ = sleep.Process.Kill() }()
	kin, err := Children(os.Getpid())
	if err != nil || kin["sleep"] != sleep.Process.Pid {
		t.Errorf("children are %v, %v; want sleep at %d", kin, err, sleep.Process.Pid)
	}
	before, err := ReadUsage(os.Getpid())
	if err != nil || before.Anonymous < 1<<20 {
		t.Fatalf("this process takes %+v, %v", before, err)
	}
	ballast := make([]byte, 32<<20)
	for i := range ballast {
		ballast[i] = 1
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	after, err := ReadUsage(os.Getpid())
	if grown := after.Anonymous - before.Anonymous; err != nil || grown < len(ballast)/2 || after.Descriptors <= before.Descriptors {
		t.Errorf("with 32 MiB and a file more it takes %+v, before %+v, %v", after, before, err)
	}
	ballast[0] = 2
	if n, err := WrittenBytes(os.Getpid()); err != nil || n < 0 {
		t.Errorf("written: %d, %v", n, err)
	}
	if _, err := ReadUsage(1 << 30); err == nil {
		t.Error("a process that does not exist was read")
	}
}

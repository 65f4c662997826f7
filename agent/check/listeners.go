package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"meltwatch/agent/settings"
	"meltwatch/config"
)

// tryWeb tells whether the page can be served and its password can be read.
func tryWeb(ctx context.Context, k *checker) outcome {
	c := k.config.Web
	if c.Listen == "" {
		return skipped("no page: web.listen is empty")
	}
	hash, passwordFault := settings.PagePassword(c)
	served, err := k.listens(ctx, "web.listen", c.Listen)
	if err := errors.Join(passwordFault, err); err != nil {
		return failure(err)
	}
	may := "who logs in may acknowledge and label"
	if hash == nil {
		may = "nobody can log in, so it only shows: web.password_file is empty"
	}
	return success("http://%s %s; %s", c.Listen, served, may)
}

// tryMetrics tells whether the metrics can be served.
func tryMetrics(ctx context.Context, k *checker) outcome {
	address := k.config.Metrics.Listen
	if address == "" {
		return skipped("no metrics: metrics.listen is empty")
	}
	if address == k.config.Web.Listen {
		return failure(config.KeyErrorf("metrics.listen", "%s is the page's address too (web.listen): set another port", address))
	}
	served, err := k.listens(ctx, "metrics.listen", address)
	return from("http://"+address+"/metrics "+served, err)
}

// listens opens an address and closes it at once, as run opens it. An address that the
// running agent has open is right too.
func (k *checker) listens(ctx context.Context, key, address string) (served string, err error) {
	var c net.ListenConfig
	listener, err := c.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return "can be opened", listener.Close()
	case errors.Is(err, unix.EADDRINUSE):
		pid, own := k.agentListens(address)
		if own {
			return fmt.Sprintf("is open by the running agent, process %d", pid), nil
		}
		if pid != 0 {
			err = fmt.Errorf("%w; the running agent, process %d, does not have it open as far as this user may see", err, pid)
		}
	}
	return "", config.KeyErrorf(key, "%w", err)
}

// agentListens reports whether the process that the state folder notes, 0 without one,
// has an address open. Only root and the agent's user may see it.
func (k *checker) agentListens(address string) (pid int, own bool) {
	text, err := os.ReadFile(filepath.Join(k.config.Paths.State, "pid"))
	if err != nil {
		return 0, false
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
		return 0, false
	}
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, false // it has ended
	}
	files, err := process.FileDescriptorTargets()
	if err != nil {
		return pid, false
	}
	for _, inode := range listening(address) {
		if slices.Contains(files, fmt.Sprintf("socket:[%d]", inode)) {
			return pid, true
		}
	}
	return pid, false
}

// listening are the sockets that listen at an address's port, by inode.
func listening(address string) (inodes []uint64) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil
	}
	disk, err := procfs.NewDefaultFS()
	if err != nil {
		return nil
	}
	four, _ := disk.NetTCP()
	six, _ := disk.NetTCP6() // missing on a machine without IPv6
	const state = 0x0a       // TCP_LISTEN
	for _, s := range slices.Concat(four, six) {
		if s.St == state && strconv.FormatUint(s.LocalPort, 10) == port {
			inodes = append(inodes, s.Inode)
		}
	}
	return inodes
}

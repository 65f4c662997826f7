package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"

	"meltwatch/bench/rig"
)

// node is one nats-server of the cluster, with JetStream and its MQTT side.
type node struct {
	name    string
	mqtt    string // address of its MQTT listener
	routes  string // address of its cluster listener
	monitor string // address of its monitoring
	config  string // its configuration file
	log     string
	program string
	process *exec.Cmd
	ended   chan struct{} // closed when the process has ended
}

// servers are the nodes, and the proxies of the routes between each two of them. A route
// is cut by its proxy.
type servers struct {
	nodes   []*node
	proxies map[[2]int]*toxiproxy.Proxy // from, to
}

const size = 3 // nodes: the least that outlive one

// startServers starts a cluster with its files in folder. pending is max_ack_pending of its
// MQTT side: with 1 a subscriber gets messages in their order also after the death of a
// node.
func startServers(ctx context.Context, program string, pending int, folder string) (s *servers, err error) {
	s = &servers{proxies: map[[2]int]*toxiproxy.Proxy{}}
	for i := range size {
		n := &node{name: string(rune('a' + i)), program: program, log: filepath.Join(folder, fmt.Sprintf("%c.log", 'a'+i))}
		if n.mqtt, err = rig.FreeAddress(ctx); err != nil {
			return nil, err
		}
		if n.routes, err = rig.FreeAddress(ctx); err != nil {
			return nil, err
		}
		if n.monitor, err = rig.FreeAddress(ctx); err != nil {
			return nil, err
		}
		s.nodes = append(s.nodes, n)
	}
	for i := range size {
		for j := range size {
			if i == j {
				continue
			}
			if s.proxies[[2]int{i, j}], err = rig.StartLink(s.nodes[j].routes); err != nil {
				return nil, fmt.Errorf("proxy: %w", err)
			}
		}
	}
	for i, n := range s.nodes {
		if err := s.configure(ctx, i, pending, folder); err != nil {
			return nil, err
		}
		if err := n.start(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// configure writes the configuration of a node.
func (s *servers) configure(ctx context.Context, i, pending int, folder string) error {
	n := s.nodes[i]
	var routes []string
	for j := range size {
		if p := s.proxies[[2]int{i, j}]; p != nil {
			routes = append(routes, fmt.Sprintf("%q", "nats://"+p.Listen))
		}
	}
	client, err := rig.FreeAddress(ctx)
	if err != nil {
		return err
	}
	n.config = filepath.Join(folder, n.name+".conf")
	// Without stream_replicas there are as many copies as nodes that the first client meets; with
	// two copies nobody connects while one of their nodes is dead.
	// The routes are those named here: at the advertised address nothing listens, so that no
	// node finds a way around a cut proxy.
	text := fmt.Sprintf(`server_name: %[1]s
listen: %[2]q
http: %[10]q
log_file: %[7]q
jetstream { store_dir: %[3]q }
cluster {
  name: plant
  listen: %[4]q
  advertise: "127.0.0.1:1"
  routes: [%[5]s]
}
mqtt {
  listen: %[6]q
  ack_wait: "2s"
  max_ack_pending: %[8]d
  stream_replicas: %[9]d
}
`, n.name, client, filepath.Join(folder, n.name), n.routes, strings.Join(routes, ", "), n.mqtt, n.log, pending, size, n.monitor)
	return os.WriteFile(n.config, []byte(text), 0o600)
}

func (n *node) start(ctx context.Context) error {
	n.process = exec.Command(n.program, "-c", n.config) //nolint:noctx // stop ends it
	if err := n.process.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.program, err)
	}
	ended := make(chan struct{})
	n.ended = ended
	process := n.process
	go func() { _ = process.Wait(); close(ended) }() // its error is how it was ended
	for deadline := time.Now().Add(time.Minute); ; {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", n.mqtt)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("node %s does not listen within a minute, see %s: %w", n.name, n.log, err)
		}
		if err := rig.Pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// end sends a signal and waits for the end of the process.
func (n *node) end(with syscall.Signal) error {
	if err := n.process.Process.Signal(with); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end node %s: %w", n.name, err)
	}
	select {
	case <-n.ended:
		return nil
	case <-time.After(time.Minute):
		return fmt.Errorf("node %s does not end within a minute", n.name)
	}
}

// part cuts or joins the routes of a node to all others.
func (s *servers) part(i int, cut bool) error {
	for pair, p := range s.proxies {
		if pair[0] != i && pair[1] != i {
			continue
		}
		if cut {
			p.Stop()
		} else if err := p.Start(); err != nil {
			return fmt.Errorf("proxy: %w", err)
		}
	}
	return nil
}

// usage is the memory of all nodes in bytes and the processor time that they have used.
func (s *servers) usage() (memory int, used time.Duration, err error) {
	for _, n := range s.nodes {
		u, err := rig.ReadUsage(n.process.Process.Pid)
		if err != nil {
			return 0, 0, err
		}
		memory, used = memory+u.Share, used+u.CPU
	}
	return memory, used, nil
}

func (s *servers) stop() {
	for _, n := range s.nodes {
		if n.process != nil {
			_ = n.end(syscall.SIGKILL) // it may have ended
		}
	}
	for _, p := range s.proxies {
		p.Stop()
	}
}

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// counts are what a fleet makes the cluster keep and do, which does not depend on how fast
// the machine is.
type counts struct {
	// consumers are those of JetStream that all nodes keep. Each subscription of QoS 1 is one,
	// with a copy on each node, and those copies are a Raft group of its own.
	consumers int
	// requests are those of JetStream's API that the nodes have handled since they started:
	// consumers and sessions that are looked up, made and removed, and their errors.
	requests, errors uint64
}

// jetStream is what a node tells of itself on /jsz.
type jetStream struct {
	Consumers int `json:"consumers"`
	API       struct {
		Total  uint64 `json:"total"`
		Errors uint64 `json:"errors"`
	} `json:"api"`
}

// keeps are the counts at the points of the script.
type keeps struct {
	before counts // the faults
	storm  counts // when every furnace is heard after all nodes have started anew
	after  counts // the faults
}

// count asks every node.
func (s *servers) count(ctx context.Context) (c counts, err error) {
	for _, n := range s.nodes {
		one, err := n.jetStream(ctx)
		if err != nil {
			return c, fmt.Errorf("monitoring of node %s: %w", n.name, err)
		}
		c.consumers = max(c.consumers, one.Consumers)
		c.requests, c.errors = c.requests+one.API.Total, c.errors+one.API.Errors
	}
	return c, nil
}

func (n *node) jetStream(ctx context.Context) (told jetStream, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.monitor+"/jsz", nil)
	if err != nil {
		return told, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return told, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return told, fmt.Errorf("status %s", answer.Status)
	}
	return told, json.NewDecoder(answer.Body).Decode(&told)
}

package inference

import (
	"bufio"
	"os"
	"testing"
)

// A box spends about a microsecond on each operation of the product, so their number is what
// a second costs. A model with more of them is a decision, which raises the bound here.
func TestProductHasFewOperations(t *testing.T) {
	for name, most := range map[string]int{EncodeFrame: 278, Step: 804} {
		if n := operations(t, "models/product", name); n == 0 || n > most {
			t.Errorf("%s has %d operations, at most %d are wanted", name, n, most)
		}
	}
}

// operations counts what a call of a signature executes: the operations of all functions that
// it leads to, except constants. A function that only passes a call on does not count.
func operations(t *testing.T, folder, signature string) (n int) {
	t.Helper()
	g, called := signatures(t, folder)
	var count func(calls []string)
	count = func(calls []string) {
		for _, function := range calls {
			all, passing := 0, 0
			for _, node := range g.functions[function] {
				count(node.calls)
				switch node.op {
				case "Const":
				case "Identity", "PartitionedCall", "StatefulPartitionedCall":
					passing++
					all++
				default:
					all++
				}
			}
			if all > passing {
				n += all
			}
		}
	}
	for _, node := range g.nodes {
		if node.name == called[signature] {
			count(node.calls)
		}
	}
	return n
}

// signatures reads a folder's graph, and which node each signature runs.
func signatures(t *testing.T, folder string) (g graph, called map[string]string) {
	t.Helper()
	file, err := os.Open(folder + "/" + graphFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	g = graph{protoReader: protoReader{in: bufio.NewReader(file)}, functions: map[string][]node{}, targets: map[string]bool{}}
	called = map[string]string{}
	err = g.each(info.Size(), func(field uint64, end int64) error {
		if field != 2 { // the graph with its signatures
			return nil
		}
		return g.each(end, func(field uint64, end int64) error {
			if field == 5 { // an entry of the signatures: name 1, signature 2
				return g.signature(end, called)
			}
			return g.meta(field, end)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return g, called
}

// signature notes the node of a signature's outputs (2), a map of tensors (2) with names (1).
func (g *graph) signature(end int64, called map[string]string) error {
	var name, runs string
	err := g.each(end, func(field uint64, end int64) (err error) {
		if field == 1 {
			name, err = g.text(end)
			return err
		}
		return g.each(end, func(field uint64, end int64) error {
			if field != 2 {
				return nil
			}
			return g.each(end, func(field uint64, end int64) error {
				if field != 2 {
					return nil
				}
				return g.each(end, func(field uint64, end int64) error {
					if field != 1 {
						return nil
					}
					tensor, err := g.text(end)
					runs = nodeOf(tensor)
					return err
				})
			})
		})
	})
	called[name] = runs
	return err
}

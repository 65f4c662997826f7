package inference

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A signed model is still a program from elsewhere: its graph could contain
// operations that read and write files. CheckGraph checks every node before
// TensorFlow loads the file.

// graphFile is the file that the library loads, unless the folder holds one of otherGraphs.
const graphFile = "saved_model.pb"

var otherGraphs = []string{"saved_model.pbtxt", "saved_model.cpb"}

// CheckFolder checks a model folder as a box does before it accepts one.
func CheckFolder(folder string) (Manifest, error) {
	manifest, _, err := ReadManifest(folder)
	if err != nil {
		return Manifest{}, err
	}
	return manifest, errors.Join(manifest.VerifyFiles(folder), CheckGraph(folder))
}

// CheckGraph refuses a model folder whose graph contains an operation that a network
// does not need.
func CheckGraph(dir string) error {
	for _, name := range otherGraphs {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("file %s: the graph must be only in %s: remove it", name, graphFile)
		}
	}
	file, err := os.Open(filepath.Join(dir, graphFile))
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil {
		err = checkGraph(file, info.Size())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", graphFile, err)
	}
	return nil
}

// graph is what a SavedModel says about its nodes.
type graph struct {
	protoReader
	nodes     []node
	functions map[string][]node
	// targets are all strings of the signatures and collections, and the restore
	// operation: they include every name that may be run.
	targets map[string]bool
	metas   int
}

type node struct {
	name, op string
	inputs   []string
	calls    []string // functions that its attributes name
}

func checkGraph(in io.Reader, size int64) error {
	g := graph{protoReader: protoReader{in: bufio.NewReader(in)}, functions: map[string][]node{}, targets: map[string]bool{}}
	if err := g.savedModel(size); err != nil {
		return err
	}
	return g.check()
}

// The field numbers are those of TensorFlow's saved_model.proto, meta_graph.proto,
// graph.proto, function.proto, node_def.proto and attr_value.proto.

func (g *graph) savedModel(end int64) error {
	return g.each(end, func(field uint64, end int64) error {
		if field != 2 {
			return nil
		}
		if g.metas++; g.metas > 1 {
			return errors.New("holds more than one graph: export one with the tag serve")
		}
		return g.each(end, g.meta)
	})
}

func (g *graph) meta(field uint64, end int64) error {
	switch field {
	case 2:
		return g.each(end, g.graphDef)
	case 3: // saver: how it is saved, and restored
		return g.each(end, func(field uint64, end int64) error {
			if field != 3 {
				return nil
			}
			return g.target(end)
		})
	case 4, 5: // collections, among them what is run at the start; signatures
		return g.collectTargets(end)
	}
	return nil
}

func (g *graph) target(end int64) error {
	text, err := g.text(end)
	g.targets[nodeOf(text)] = true
	return err
}

// collectTargets treats every string in the maps of signatures and collections as a target.
// Their messages are at most six deep; a string that could be a message is treated as both.
func (g *graph) collectTargets(end int64) error {
	if g.reserve(8*(end-g.at)) != nil {
		return errLarge
	}
	text := make([]byte, end-g.at)
	if _, err := io.ReadFull(g.in, text); err != nil {
		return errWire
	}
	g.at = end
	gatherTargets(text, g.targets, 0)
	return nil
}

func gatherTargets(text []byte, into map[string]bool, depth int) {
	if len(text) <= maxName {
		into[nodeOf(string(text))] = true
	}
	if depth == 8 {
		return
	}
	w := protoReader{in: bufio.NewReaderSize(strings.NewReader(string(text)), 64)}
	// If it is not a message, the strings found so far are harmless.
	_ = w.each(int64(len(text)), func(_ uint64, end int64) error {
		gatherTargets(text[w.at:end], into, depth+1)
		return nil
	})
}

// nodeOf is the node of an input or of a tensor's name.
func nodeOf(text string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(text, "^"), ":")
	return name
}

func (g *graph) graphDef(field uint64, end int64) error {
	switch field {
	case 1:
		n, err := g.node(end)
		g.nodes = append(g.nodes, n)
		return err
	case 2:
		return g.each(end, func(field uint64, end int64) error {
			if field != 1 {
				return nil
			}
			return g.function(end)
		})
	}
	return nil
}

func (g *graph) function(end int64) error {
	var names []string
	var body []node
	err := g.each(end, func(field uint64, end int64) error {
		switch field {
		case 1: // its signature, an OpDef
			return g.each(end, func(field uint64, end int64) error {
				if field != 1 {
					return nil
				}
				name, err := g.text(end)
				names = append(names, name)
				return err
			})
		case 3:
			n, err := g.node(end)
			body = append(body, n)
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(names) != 1 {
		return errWire
	}
	if _, twice := g.functions[names[0]]; twice {
		return fmt.Errorf("function %.64q is defined twice: %s", names[0], exportRemedy)
	}
	g.functions[names[0]] = body
	return nil
}

func (g *graph) node(end int64) (n node, err error) {
	ops, names := 0, 0
	err = g.each(end, func(field uint64, end int64) (err error) {
		switch field {
		case 1:
			names++
			n.name, err = g.text(end)
		case 2:
			ops++
			n.op, err = g.text(end)
		case 3:
			var input string
			input, err = g.text(end)
			n.inputs = append(n.inputs, nodeOf(input))
		case 5: // attr, a map: key 1, value 2
			err = g.each(end, func(field uint64, end int64) error {
				if field != 2 {
					return nil
				}
				return g.attribute(&n, end, 0)
			})
		}
		return err
	})
	if err == nil && (ops != 1 || names > 1) {
		err = errWire
	}
	return n, err
}

// attribute finds the functions that an attribute names: in func (10), and in the
// func (9) of a list (1).
func (g *graph) attribute(n *node, end int64, depth int) error {
	if depth == maxNesting {
		return errWire
	}
	return g.each(end, func(field uint64, end int64) error {
		switch field {
		case 1:
			return g.each(end, func(field uint64, end int64) error {
				if field != 9 {
					return nil
				}
				return g.called(n, end, depth)
			})
		case 10:
			return g.called(n, end, depth)
		}
		return nil
	})
}

// called reads a NameAttrList: name 1, attr 2, a map as a node's.
func (g *graph) called(n *node, end int64, depth int) error {
	return g.each(end, func(field uint64, end int64) error {
		switch field {
		case 1:
			name, err := g.text(end)
			n.calls = append(n.calls, name)
			return err
		case 2:
			return g.each(end, func(field uint64, end int64) error {
				if field != 2 {
					return nil
				}
				return g.attribute(n, end, depth+1)
			})
		}
		return nil
	})
}

// check refuses what is not allowed.
func (g *graph) check() error {
	if g.metas == 0 {
		return errWire
	}
	saves := map[string]bool{} // functions that hold saving operations
	for name, body := range g.functions {
		if slices.ContainsFunc(body, func(n node) bool { return saving[n.op] }) {
			saves[name] = true
		}
	}
	for name, body := range g.functions {
		// The library looks up functions before its own operations, so no function
		// may have an operation's name.
		if !strings.HasPrefix(name, "__") {
			return fmt.Errorf("function %.64q: a name must begin with __, as the export's do: %s", name, exportRemedy)
		}
		for _, n := range body {
			if err := g.checkNode(n, saves[name]); err != nil {
				return err
			}
			if called, ok := n.leadsTo(saves); ok {
				return fmt.Errorf("function %.64q, which writes files, is called by node %.64q: %s", called, n.name, exportRemedy)
			}
		}
	}
	return g.checkNodes(saves)
}

// checkNodes refuses a main graph from which a function that saves is reached.
func (g *graph) checkNodes(saves map[string]bool) error {
	callers := map[string]bool{}
	for _, n := range g.nodes {
		if err := g.checkNode(n, false); err != nil {
			return err
		}
		if called, ok := n.leadsTo(saves); ok {
			callers[n.name] = true
			if g.targets[n.name] {
				return fmt.Errorf("function %.64q, which writes files, is run by node %.64q: %s", called, n.name, exportRemedy)
			}
		}
	}
	for _, n := range g.nodes {
		for _, input := range n.inputs {
			if callers[input] {
				return fmt.Errorf("node %.64q needs node %.64q, which writes files: %s", n.name, input, exportRemedy)
			}
		}
	}
	return nil
}

func (n node) leadsTo(functions map[string]bool) (string, bool) {
	for _, name := range append([]string{n.op}, n.calls...) {
		if functions[name] {
			return name, true
		}
	}
	return "", false
}

func (g *graph) checkNode(n node, maySave bool) error {
	_, function := g.functions[n.op]
	if allowed[n.op] || function || maySave && saving[n.op] {
		return nil
	}
	return fmt.Errorf("node %.64q: operation %.64q is not allowed in a remote model: remove it from the network and %s", n.name, n.op, exportRemedy)
}

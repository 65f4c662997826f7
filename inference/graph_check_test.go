package inference

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// field encodes a text or message of protobuf.
func field(number uint64, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	out := binary.AppendUvarint(nil, number<<3|2)
	return append(binary.AppendUvarint(out, uint64(len(body))), body...)
}

func word(number uint64, text string) []byte { return field(number, []byte(text)) }

// nodeDef is a NodeDef; calls are functions that an attribute names.
func nodeDef(name, op string, inputs []string, calls ...string) []byte {
	parts := [][]byte{word(1, name), word(2, op)}
	for _, input := range inputs {
		parts = append(parts, word(3, input))
	}
	for _, f := range calls {
		parts = append(parts, field(5, word(1, "f"), field(2, field(10, word(1, f)))))
	}
	return bytes.Join(parts, nil)
}

func functionDef(name string, nodes ...[]byte) []byte {
	parts := [][]byte{field(1, word(1, name))}
	for _, n := range nodes {
		parts = append(parts, field(3, n))
	}
	return field(2, field(1, parts...))
}

// model is a SavedModel whose signature answers with node out.
func model(out string, graph ...[]byte) []byte {
	signature := field(5, word(1, "serving"), field(2, field(2, word(1, "y"), field(2, word(1, out+":0")))))
	return field(2, field(2, graph...), signature)
}

func main1(n []byte) []byte { return field(1, n) }

func TestGraphsThatMustNotBeLoaded(t *testing.T) {
	saver := functionDef("__traced_save", nodeDef("s", "SaveV2", nil))
	list := field(5, word(1, "branches"), field(2, field(1, field(9, word(1, "__traced_save")))))
	nested := field(5, word(1, "f"), field(2, field(10, word(1, "__fine"), field(2, word(1, "g"), field(2, field(10, word(1, "__traced_save")))))))
	for name, c := range map[string]struct {
		graph []byte
		want  string
	}{
		"fine":                 {model("y", main1(nodeDef("y", "Relu", []string{"x"})), main1(nodeDef("x", "Placeholder", nil))), ""},
		"fine with its saver":  {model("y", main1(nodeDef("y", "Relu", nil)), main1(nodeDef("save", "StatefulPartitionedCall", nil, "__traced_save")), saver), ""},
		"WriteFile":            {model("y", main1(nodeDef("y", "WriteFile", nil))), `"WriteFile"`},
		"ReadFile":             {model("y", main1(nodeDef("y", "ReadFile", nil))), `"ReadFile"`},
		"PyFunc":               {model("y", main1(nodeDef("y", "PyFunc", nil))), `"PyFunc"`},
		"EagerPyFunc":          {model("y", main1(nodeDef("y", "EagerPyFunc", nil))), `"EagerPyFunc"`},
		"PrintV2 to a file":    {model("y", main1(nodeDef("y", "PrintV2", nil))), `"PrintV2"`},
		"DebugIdentity":        {model("y", main1(nodeDef("y", "DebugIdentityV2", nil))), `"DebugIdentityV2"`},
		"a dataset":            {model("y", main1(nodeDef("y", "TextLineDataset", nil))), `"TextLineDataset"`},
		"MatchingFiles":        {model("y", main1(nodeDef("y", "MatchingFiles", nil))), `"MatchingFiles"`},
		"in a function":        {model("y", main1(nodeDef("y", "PartitionedCall", nil, "__f")), functionDef("__f", nodeDef("w", "WriteFile", nil))), `"WriteFile"`},
		"in an unused one":     {model("y", main1(nodeDef("y", "Relu", nil)), functionDef("__f", nodeDef("w", "WriteFile", nil))), `"WriteFile"`},
		"SaveV2 beside":        {model("y", main1(nodeDef("y", "Relu", nil)), main1(nodeDef("s", "SaveV2", nil))), `"SaveV2"`},
		"saver as the answer":  {model("y", main1(nodeDef("y", "StatefulPartitionedCall", nil, "__traced_save")), saver), "is run by node"},
		"saver needed":         {model("y", main1(nodeDef("y", "Relu", []string{"save"})), main1(nodeDef("save", "StatefulPartitionedCall", nil, "__traced_save")), saver), "which writes files"},
		"saver waited for":     {model("y", main1(nodeDef("y", "Relu", []string{"^save"})), main1(nodeDef("save", "StatefulPartitionedCall", nil, "__traced_save")), saver), "which writes files"},
		"saver by its name":    {model("y", main1(nodeDef("y", "__traced_save", nil)), saver), "is run by node"},
		"saver in a branch":    {model("y", main1(append(nodeDef("y", "Case", nil), list...)), saver), "is run by node"},
		"saver nested":         {model("y", main1(append(nodeDef("y", "PartitionedCall", nil), nested...)), saver), "is run by node"},
		"saver in a function":  {model("y", main1(nodeDef("y", "PartitionedCall", nil, "__f")), functionDef("__f", nodeDef("w", "StatefulPartitionedCall", nil, "__traced_save")), saver), "is called by node"},
		"saver at the start":   {append(model("y", main1(nodeDef("y", "Relu", nil)), main1(nodeDef("save", "StatefulPartitionedCall", nil, "__traced_save")), saver), field(2, field(4, word(1, "saved_model_main_op"), field(2, field(1, word(1, "save")))))...), "more than one graph"},
		"a function as an op":  {model("y", main1(nodeDef("y", "WriteFile", nil)), functionDef("WriteFile")), "must begin with __"},
		"two operations":       {model("y", main1(append(nodeDef("y", "Relu", nil), word(2, "WriteFile")...))), "damaged"},
		"two names":            {model("y", main1(append(nodeDef("y", "Relu", nil), word(1, "z")...))), "damaged"},
		"a function twice":     {model("y", functionDef("__f"), functionDef("__f", nodeDef("w", "Relu", nil))), "is defined twice"},
		"a function two names": {model("y", field(2, field(1, field(1, word(1, "__f")), field(1, word(1, "__g"))))), "damaged"},
		"nothing":              {nil, "damaged"},
		"text":                 {[]byte("node { op: \"Relu\" }"), "damaged"},
		"cut":                  {model("y", main1(nodeDef("y", "Relu", nil)))[:20], "damaged"},
		"a padded number":      {append([]byte{0x92, 0x00}, model("y")...), "damaged"},
	} {
		err := checkGraph(bytes.NewReader(c.graph), int64(len(c.graph)))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	// What is run at the start is named in a collection, or by the saver.
	start := field(2, field(2, main1(nodeDef("y", "Relu", nil)), main1(nodeDef("save", "StatefulPartitionedCall", nil, "__traced_save")), saver),
		field(4, word(1, "saved_model_main_op"), field(2, field(1, word(1, "save")))))
	restore := field(2, field(3, word(3, "save")), field(2, main1(nodeDef("save", "StatefulPartitionedCall", nil, "__traced_save")), saver))
	for _, text := range [][]byte{start, restore} {
		if err := checkGraph(bytes.NewReader(text), int64(len(text))); err == nil || !strings.Contains(err.Error(), "is run by node") {
			t.Errorf("%v", err)
		}
	}
}

func TestOwnModelsPass(t *testing.T) {
	for _, folder := range []string{"models/product", "tensorflow/testdata/fixture"} {
		if err := CheckGraph(folder); err != nil {
			t.Errorf("%s: %v", folder, err)
		}
	}
}

// Each operation of the product, replaced by one of the same length that nobody
// knows, is found: the walk passes over none.
func TestEachOperationOfTheProductIsLookedAt(t *testing.T) {
	text, err := os.ReadFile("models/product/saved_model.pb")
	if err != nil {
		t.Fatal(err)
	}
	replaced := 0
	for op := range allowed {
		mark := word(2, op)
		at := bytes.LastIndex(text, mark)
		if at < 0 {
			continue
		}
		other := bytes.Clone(text)
		other[at+len(mark)-1] ^= 0x0C
		if err := checkGraph(bytes.NewReader(other), int64(len(other))); err != nil {
			replaced++
		}
	}
	if replaced < 45 {
		t.Errorf("only %d operations were found missing", replaced)
	}
}

func TestGraphsBesideTheGraphAreRefused(t *testing.T) {
	for _, name := range otherGraphs {
		folder := t.TempDir()
		if err := os.CopyFS(folder, os.DirFS("models/product")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := CheckGraph(folder); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the names of a graph take in memory is bounded.
func TestNamesOfAGraphAreBounded(t *testing.T) {
	one := main1(nodeDef("", "Relu", nil))
	text := model("y", bytes.Repeat(one, maxNames/64))
	if err := checkGraph(bytes.NewReader(text), int64(len(text))); err == nil || !strings.Contains(err.Error(), "holds more names") {
		t.Errorf("%v", err)
	}
}

// The worst graphs of 512 KiB are read in a bounded time.
func TestWorstGraphsAreReadAtOnce(t *testing.T) {
	const size = 512 << 10
	repeat := func(one []byte) []byte { return bytes.Repeat(one, size/len(one)) }
	deep := []byte{}
	for len(deep) < 20_000 {
		deep = field(2, word(1, "f"), field(2, field(10, deep)))
	}
	for name, text := range map[string][]byte{
		"small nodes":      model("y", repeat(main1(nodeDef("", "Relu", nil)))),
		"many inputs":      model("y", main1(append(nodeDef("y", "Relu", nil), repeat(word(3, "x"))...))),
		"empty functions":  model("y", field(2, repeat(field(1, field(1, word(1, "__f")))))),
		"many attributes":  model("y", main1(append(nodeDef("y", "Relu", nil), repeat(field(5, field(2, field(10, word(1, "__f")))))...))),
		"deep attributes":  model("y", main1(append(nodeDef("y", "Relu", nil), repeat(field(5, deep))...))),
		"long names":       model("y", repeat(main1(nodeDef(strings.Repeat("n", 4000), "Relu", nil)))),
		"large signatures": field(2, field(2), repeat(field(5, word(1, "a"), field(2, field(2, word(1, "b")))))),
		"empty fields":     model("y", repeat(field(7))),
		"a long constant":  model("y", main1(append(nodeDef("y", "Const", nil), field(5, field(2, field(8, make([]byte, size))))...))),
	} {
		began := time.Now()
		err := checkGraph(bytes.NewReader(text), int64(len(text)))
		t.Logf("%-17s %d bytes in %s: %v", name, len(text), time.Since(began).Round(time.Millisecond), err)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s takes %s", name, took)
		}
	}
}

// FuzzGraph: no file may panic or hang, and none passes that holds an operation
// outside the list in plain sight.
func FuzzGraph(f *testing.F) {
	f.Add(model("y", main1(nodeDef("y", "Relu", []string{"x"}, "__f")), functionDef("__f", nodeDef("w", "MatMul", nil))))
	f.Add(model("y", main1(nodeDef("y", "StatefulPartitionedCall", nil, "__traced_save")), functionDef("__traced_save", nodeDef("s", "SaveV2", nil))))
	f.Fuzz(func(t *testing.T, text []byte) {
		if checkGraph(bytes.NewReader(text), int64(len(text))) != nil {
			return
		}
		bad := model("y", main1(nodeDef("y", "WriteFile", nil)))
		// A graph that passes does not once such a node stands before it in a graph of
		// its own.
		if both := append(bytes.Clone(bad), text...); checkGraph(bytes.NewReader(both), int64(len(both))) == nil {
			t.Errorf("passed with WriteFile: %x", both)
		}
	})
}

package tensorflow

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	tf "github.com/tensorflow/tensorflow/tensorflow/go"

	"meltwatch/inference"
)

// function is one signature of a SavedModel, with its tensors found in the
// graph once.
type function struct {
	name    string
	inputs  map[string]endpoint
	outputs []string    // names, sorted
	fetches []tf.Output // in the order of outputs
	lengths []int       // of the outputs, in values
}

// endpoint is the graph's end of a named tensor.
type endpoint struct {
	output tf.Output
	dtype  tf.DataType
	shape  []int64
}

// input is a flat tensor: bytes for uint8, floats for float32.
type input struct {
	bytes  []byte
	floats []float32
}

// dtypes are TensorFlow's names of the types a manifest may use.
var dtypes = map[string]tf.DataType{"float32": tf.Float, "uint8": tf.Uint8}

// newFunction compares a signature of the SavedModel with the manifest's and
// finds its tensors. A tensor that only one of them has is a fault.
func newFunction(saved *tf.SavedModel, name string, manifest inference.Manifest) (*function, error) {
	have, ok := saved.Signatures[name]
	if !ok {
		return nil, fmt.Errorf("find signature %s: the SavedModel has none; export the model again", name)
	}
	want := manifest.Signatures[name]
	inputs, err := findEndpoints(saved.Graph, have.Inputs, want.Inputs)
	if err != nil {
		return nil, fmt.Errorf("compare inputs of %s with the manifest: %w; export the model again", name, err)
	}
	outputs, err := findEndpoints(saved.Graph, have.Outputs, want.Outputs)
	if err != nil {
		return nil, fmt.Errorf("compare outputs of %s with the manifest: %w; export the model again", name, err)
	}
	f := &function{name: name, inputs: inputs}
	for output := range outputs {
		f.outputs = append(f.outputs, output)
	}
	slices.Sort(f.outputs)
	for _, output := range f.outputs {
		f.fetches = append(f.fetches, outputs[output].output)
		f.lengths = append(f.lengths, want.Outputs[output].Elements())
	}
	return f, nil
}

func findEndpoints(graph *tf.Graph, have map[string]tf.TensorInfo, want map[string]inference.Tensor) (map[string]endpoint, error) {
	places := make(map[string]endpoint, len(want))
	for name, tensor := range want {
		info, ok := have[name]
		if !ok {
			return nil, fmt.Errorf("the SavedModel has no tensor %s", name)
		}
		found, err := findEndpoint(graph, info, tensor)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", name, err)
		}
		places[name] = found
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			return nil, fmt.Errorf("the manifest has no tensor %s", name)
		}
	}
	return places, nil
}

func findEndpoint(graph *tf.Graph, info tf.TensorInfo, want inference.Tensor) (endpoint, error) {
	if info.DType != dtypes[want.DType] {
		return endpoint{}, fmt.Errorf("is TensorFlow type %d, the manifest says %s", info.DType, want.DType)
	}
	shape, err := info.Shape.ToSlice()
	if err != nil {
		return endpoint{}, fmt.Errorf("read shape: %w", err)
	}
	if !slices.EqualFunc(shape, want.Shape, func(a int64, b int) bool { return a == int64(b) }) {
		return endpoint{}, fmt.Errorf("has shape %v, the manifest says %v", shape, want.Shape)
	}
	output, err := graphOutput(graph, info.Name)
	if err != nil {
		return endpoint{}, err
	}
	return endpoint{output: output, dtype: info.DType, shape: shape}, nil
}

// graphOutput finds "operation:index".
func graphOutput(graph *tf.Graph, name string) (tf.Output, error) {
	operation, digits, _ := strings.Cut(name, ":")
	index, err := strconv.Atoi(digits)
	if err != nil {
		return tf.Output{}, fmt.Errorf("read name %q: %w", name, err)
	}
	op := graph.Operation(operation)
	if op == nil || index < 0 || index >= op.NumOutputs() {
		return tf.Output{}, fmt.Errorf("the graph has no %q", name)
	}
	return op.Output(index), nil
}

// run feeds the inputs, whose lengths the caller has checked, and reads every
// output. An output that is not a finite number is an error.
func (f *function) run(session *tf.Session, inputs map[string]input) (map[string][]float32, error) {
	feeds := make(map[tf.Output]*tf.Tensor, len(inputs))
	for name, in := range inputs {
		at := f.inputs[name]
		tensor, err := tf.ReadTensor(at.dtype, at.shape, bytes.NewReader(in.raw()))
		if err != nil {
			return nil, fmt.Errorf("make tensor %s of %s: %w", name, f.name, err)
		}
		feeds[at.output] = tensor
	}
	answers, err := session.Run(feeds, f.fetches, nil)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", f.name, err)
	}
	return f.read(answers)
}

// read copies the answers out of TensorFlow's memory.
func (f *function) read(answers []*tf.Tensor) (map[string][]float32, error) {
	// Reading a tensor does not keep it alive: its memory could be freed halfway.
	defer runtime.KeepAlive(answers)
	outputs := make(map[string][]float32, len(answers))
	for i, name := range f.outputs {
		var raw bytes.Buffer
		if _, err := answers[i].WriteContentsTo(&raw); err != nil {
			return nil, fmt.Errorf("read tensor %s of %s: %w", name, f.name, err)
		}
		values := inference.Floats(raw.Bytes())
		if len(values) != f.lengths[i] {
			return nil, fmt.Errorf("read tensor %s of %s: %d values, the manifest says %d; export the model again", name, f.name, len(values), f.lengths[i])
		}
		if err := inference.CheckFinite(name, values); err != nil {
			return nil, fmt.Errorf("%w; the model is faulty, return to the previous one", err)
		}
		outputs[name] = values
	}
	return outputs, nil
}

func (in input) raw() []byte {
	if in.bytes != nil {
		return in.bytes
	}
	return inference.AppendFloats(make([]byte, 0, 4*len(in.floats)), in.floats)
}

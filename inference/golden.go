package inference

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
)

// maxGolden bounds the file of golden vectors; a real one has about a megabyte.
const maxGolden = 64 << 20

// GoldenVector is one call of a signature and what the exporting machine got
// for it. Tensors are raw, row-major, little-endian, by name.
type GoldenVector struct {
	Name      string            `json:"name"`
	Signature string            `json:"signature"`
	Inputs    map[string][]byte `json:"inputs"`  // base64 in the file
	Outputs   map[string][]byte `json:"outputs"` // base64 in the file
}

// parseGolden decodes golden vectors and checks every tensor's name and size
// against the manifest.
func (m Manifest) parseGolden(data []byte) ([]GoldenVector, error) {
	var file struct {
		Vectors []GoldenVector `json:"vectors"`
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("decode golden vectors: %w; %s", err, exportRemedy)
	}
	for _, v := range file.Vectors {
		signature, ok := m.Signatures[v.Signature]
		if !ok {
			return nil, fmt.Errorf("check golden vector %q: unknown signature %q; %s", v.Name, v.Signature, exportRemedy)
		}
		if err := checkTensorBytes(v.Inputs, signature.Inputs); err != nil {
			return nil, fmt.Errorf("check inputs of golden vector %q: %w; %s", v.Name, err, exportRemedy)
		}
		if err := checkTensorBytes(v.Outputs, signature.Outputs); err != nil {
			return nil, fmt.Errorf("check outputs of golden vector %q: %w; %s", v.Name, err, exportRemedy)
		}
	}
	return file.Vectors, nil
}

// ReadGolden reads the golden vectors of a model folder.
func (m Manifest) ReadGolden(dir string) ([]GoldenVector, error) {
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(m.Golden.File)))
	if err != nil {
		return nil, fmt.Errorf("open golden vectors: %w; copy the whole model folder again", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxGolden+1))
	if err != nil {
		return nil, fmt.Errorf("read golden vectors: %w", err)
	}
	if len(data) > maxGolden {
		return nil, fmt.Errorf("read golden vectors: more than %d bytes; %s", maxGolden, exportRemedy)
	}
	return m.parseGolden(data)
}

func checkTensorBytes(have map[string][]byte, want map[string]Tensor) error {
	for name, tensor := range want {
		if n, size := len(have[name]), tensor.Bytes(); n != size {
			return fmt.Errorf("%s has %d bytes, must have %d", name, n, size)
		}
	}
	if len(have) != len(want) {
		return fmt.Errorf("%d tensors, must be %d", len(have), len(want))
	}
	return nil
}

// Floats reads a raw little-endian float32 tensor; trailing bytes that do not
// fill a value are left out.
func Floats(raw []byte) []float32 {
	values := make([]float32, len(raw)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return values
}

// AppendFloats appends values in the form that Floats reads.
func AppendFloats(raw []byte, values []float32) []byte {
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw
}

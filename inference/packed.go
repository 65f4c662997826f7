package inference

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Between the agent and its child, tensors are bytes: float32, little-endian, which JSON
// carries as base64. A window holds 5,000 numbers, and written as decimal numbers they cost
// more than the rest of the call but the model.

type packedFrame struct{ Pixels, Background []byte }

type packedEncoded struct{ Tokens, Background, Evidence []byte }

type packedWindow struct {
	Tokens, FrameMask, Current, SampleMask []byte
	SetPoint                               float32
	// Left out while nil, as models without this input need none.
	CurrentBaseline []byte `json:",omitzero"`
}

// MarshalJSON packs the tensors.
func (f Frame) MarshalJSON() ([]byte, error) {
	p := &packer{}
	return p.json(packedFrame{f.Pixels, p.pack("background", f.Background)})
}

// UnmarshalJSON unpacks the tensors.
func (f *Frame) UnmarshalJSON(text []byte) error {
	var p packedFrame
	u := unpacker{json.Unmarshal(text, &p)}
	*f = Frame{p.Pixels, u.unpack("background", p.Background)}
	return u.err
}

// MarshalJSON packs the tensors. A number in them that is not finite is an error.
func (e Encoded) MarshalJSON() ([]byte, error) {
	p := &packer{}
	return p.json(packedEncoded{p.pack("tokens", e.Tokens), p.pack("background", e.Background), p.pack(Evidence, e.Evidence)})
}

// UnmarshalJSON unpacks the tensors.
func (e *Encoded) UnmarshalJSON(text []byte) error {
	var p packedEncoded
	u := unpacker{json.Unmarshal(text, &p)}
	*e = Encoded{u.unpack("tokens", p.Tokens), u.unpack("background", p.Background), u.unpack(Evidence, p.Evidence)}
	return u.err
}

// MarshalJSON packs the tensors. A number in them that is not finite is an error.
func (w Window) MarshalJSON() ([]byte, error) {
	p := &packer{}
	var tokens []byte
	if w.sawFrame() {
		tokens = p.pack("tokens", w.Tokens)
	} else { // they are three quarters of a window, and ignored
		p.err = CheckFinite("tokens", w.Tokens)
	}
	return p.json(packedWindow{
		tokens, p.pack("frame_mask", w.FrameMask),
		p.pack("current", w.Current), p.pack("sample_mask", w.SampleMask), w.SetPoint,
		p.pack(CurrentBaseline, w.CurrentBaseline),
	})
}

// sawFrame reports whether any frame is not masked.
func (w Window) sawFrame() bool {
	return slices.ContainsFunc(w.FrameMask, func(seen float32) bool { return seen != 0 })
}

// UnmarshalJSON unpacks the tensors.
func (w *Window) UnmarshalJSON(text []byte) error {
	var p packedWindow
	u := unpacker{json.Unmarshal(text, &p)}
	*w = Window{
		u.unpack("tokens", p.Tokens), u.unpack("frame_mask", p.FrameMask),
		u.unpack("current", p.Current), u.unpack("sample_mask", p.SampleMask), p.SetPoint,
		u.unpack(CurrentBaseline, p.CurrentBaseline),
	}
	return u.err
}

// packer packs tensors, and keeps their errors.
type packer struct{ err error }

func (p *packer) pack(name string, values []float32) []byte {
	if values == nil {
		return nil
	}
	packed := make([]byte, 0, 4*len(values))
	for _, v := range values {
		bits := math.Float32bits(v)
		if bits&infinite == infinite {
			p.err = errors.Join(p.err, notFinite(name, v))
			return nil
		}
		packed = binary.LittleEndian.AppendUint32(packed, bits)
	}
	return packed
}

// infinite is the exponent of numbers that are not finite.
const infinite = 0x7F800000

func notFinite(name string, value float32) error {
	return fmt.Errorf("tensor %s holds %v, which is not finite", name, value)
}

func (p *packer) json(packed any) ([]byte, error) {
	if p.err != nil {
		return nil, p.err
	}
	return json.Marshal(packed)
}

// unpacker unpacks tensors, and keeps the first error.
type unpacker struct{ err error }

var errPacked = errors.New("is not a whole number of float32")

func (u *unpacker) unpack(name string, packed []byte) []float32 {
	if u.err != nil || packed == nil {
		return nil
	}
	if len(packed)%4 != 0 {
		u.err = fmt.Errorf("tensor %s of %d bytes %w", name, len(packed), errPacked)
		return nil
	}
	values := make([]float32, len(packed)/4)
	for i := range values {
		bits := binary.LittleEndian.Uint32(packed[4*i:])
		values[i] = math.Float32frombits(bits)
		if bits&infinite == infinite {
			u.err = notFinite(name, values[i])
			return nil
		}
	}
	return values
}

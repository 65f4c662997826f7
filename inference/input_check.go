package inference

import "fmt"

// CheckFrame reports why a frame does not fit encode_frame's inputs. It comes
// before the frame reaches a C library.
func (m Manifest) CheckFrame(frame Frame) error {
	inputs := m.Signatures[EncodeFrame].Inputs
	if want := inputs["frame"].Elements(); len(frame.Pixels) != want {
		return fmt.Errorf("check frame: %d bytes of pixels, the model takes %d", len(frame.Pixels), want)
	}
	if frame.Background == nil {
		return nil
	}
	return checkFloats("background", frame.Background, inputs["background"].Elements())
}

// CheckWindow reports why a window does not fit step's inputs. A current that
// is not a number passes: the graph treats such a sample as masked.
func (m Manifest) CheckWindow(w Window) error {
	inputs := m.Signatures[Step].Inputs
	if want := inputs["current"].Elements(); len(w.Current) != want {
		return fmt.Errorf("check current: %d values, the model takes %d", len(w.Current), want)
	}
	if w.Tokens != nil || w.sawFrame() {
		if err := checkFloats("tokens", w.Tokens, inputs["tokens"].Elements()); err != nil {
			return err
		}
	}
	for _, part := range []struct {
		name   string
		values []float32
	}{
		{"frame_mask", w.FrameMask},
		{"sample_mask", w.SampleMask},
		{"set_point", []float32{w.SetPoint}},
	} {
		if err := checkFloats(part.name, part.values, inputs[part.name].Elements()); err != nil {
			return err
		}
	}
	if w.CurrentBaseline == nil {
		return nil
	}
	return checkFloats(CurrentBaseline, w.CurrentBaseline, m.CurrentBaselineSize())
}

func checkFloats(name string, values []float32, want int) error {
	if len(values) != want {
		return fmt.Errorf("check %s: %d values, the model takes %d", name, len(values), want)
	}
	return CheckFinite(name, values)
}

// CheckFinite reports the first value that is not a finite number.
func CheckFinite(name string, values []float32) error {
	for i, v := range values {
		// v-v is 0 for every finite number, else not a number.
		if v-v != 0 {
			return fmt.Errorf("check %s: value %d is %g, not a finite number", name, i, v)
		}
	}
	return nil
}

// Package inference is the contract between the agent and a model: a model's inputs,
// its outputs, and the manifest that describes them. Go code holds no model constants:
// every shape, rate, unit and threshold comes from the manifest, which the export
// writes next to the SavedModel.
//
// A model is two functions without hidden state. The caller keeps the state (frame
// tokens, background, baseline of the current), so a restart of the process that runs the model loses nothing.
//
// All tensors are flat, row-major, batch 1; shapes are the manifest's. Input slices are
// neither changed nor kept; output slices belong to the caller.
package inference

// Frame is the input of EncodeFrame.
type Frame struct {
	// Pixels is Height × Width × 3 RGB, 0–255.
	Pixels []byte
	// Background is the slow background that the last call returned, or nil to
	// start from this frame. Inside the graph a negative value means "not known
	// yet"; a nil Background reaches it as a tensor filled with -1.
	Background []float32
}

// Encoded is the output of EncodeFrame.
type Encoded struct {
	// Tokens is Tokens × Dim of the manifest's video section.
	Tokens []float32
	// Background goes into the next call; a caller that freezes the background keeps
	// the old one.
	Background []float32
	// Evidence is the attention of this frame's tokens over the crop: EvidenceRows ×
	// EvidenceColumns weights that sum to 1, nil if the model has none. It locates a
	// hot spot, so it means little while p_abnormal is low.
	Evidence []float32
}

// Window is the input of Step: both senses on one time grid that ends at t_end.
type Window struct {
	// Tokens is Frames × Tokens × Dim, oldest first; a masked frame's tokens are
	// ignored. It may be nil while no frame was seen, which reaches the graph as zeros.
	Tokens []float32
	// FrameMask is 1 where a frame was seen, else 0; Frames long.
	FrameMask []float32
	// Current is Samples × Phases in amperes, oldest first; a masked sample's
	// values are ignored.
	Current []float32
	// SampleMask is 1 where a sample was taken, else 0; Samples long.
	SampleMask []float32
	// SetPoint is the current set-point in amperes, 0 where it is unknown; the
	// model then takes the mean of the current.
	SetPoint float32
	// CurrentBaseline is what the last call returned under this name, or nil while nothing is
	// known, which reaches the graph as zeros. It is nil for a model without this input.
	CurrentBaseline []float32
}

// Outputs are Step's outputs by the manifest's names. PAbnormal is always
// present; the rest depends on the model.
type Outputs map[string][]float32

// Names of the two functions in a SavedModel.
const (
	EncodeFrame = "encode_frame"
	Step        = "step"
)

// Names of the outputs that the agent uses.
const (
	// PAbnormal is the probability that the furnace is abnormal, shape (1, 1).
	PAbnormal = "p_abnormal"
	// PCurrent and PVideo are the probabilities that each sense gives without the other,
	// shape (1, 1); Missing while the sense is missing.
	PCurrent = "p_current"
	PVideo   = "p_video"
	// Alignment is the cosine between the embeddings of the two senses, −1…1, 0 while a
	// sense is missing, shape (1, 1).
	Alignment = "alignment"
	// Evidence is an output of encode_frame, see Encoded.
	Evidence = "evidence"
	// FrameWeight is the attention over frames, shape (1, Frames). It sums to 1,
	// or to 0 where no frame was seen.
	FrameWeight = "frame_weight"
	// LocalLoss is how badly the window's frames match their own samples with the
	// current taken each of Offset.ShiftsS seconds later, shape (1, shifts). If the
	// video is late by d seconds, the loss is least at the shift −d.
	LocalLoss = "local_loss"
	// Surprise is the error of the model's prediction of the next current, ≥ 0, shape
	// (1, 1).
	Surprise = "surprise"
	// FamiliarityCurrent and FamiliarityVideo tell how much a sense is like what the model
	// learnt, 0 (unlike anything) to 1, shape (1, 1); Missing while the window holds too
	// little of the sense. They depend on the furnace, its camera and its meter, and hardly
	// on its state.
	FamiliarityCurrent = "familiarity_current"
	FamiliarityVideo   = "familiarity_video"
	// CurrentBaseline is an optional input of step and an output of the same shape (1, N), float32:
	// a slow mean of how much this furnace's current usually fluctuates. It is to the current what
	// the background is to the video. The output goes into the next call; a caller that freezes the
	// background keeps the old one. Zeros mean that nothing is known yet. It is for the model to
	// leave it as it is while the window holds too little current or the furnace is off.
	CurrentBaseline = "current_baseline"
)

// Missing is the value of a sense's own output while the sense is missing: of PCurrent and
// PVideo, FamiliarityCurrent and FamiliarityVideo.
const Missing = -1

// Model runs a model's two functions. It is not safe for concurrent use.
type Model interface {
	EncodeFrame(Frame) (Encoded, error)
	Step(Window) (Outputs, error)
	Close() error
}

// The inference child (inference/server, bin/meltwatch-infer) serves these
// calls to the agent over the child protocol, under the name "Model":
// Model.Load(LoadRequest) LoadReply, Model.EncodeFrame(Frame) Encoded,
// Model.Step(Window) Outputs.

// ChildVersion is the version of these calls. The agent refuses a child of
// another version.
const ChildVersion = 3

// LoadRequest asks the child to load the model in a folder, check every file
// against the manifest's sha256, and warm it up.
type LoadRequest struct{ Dir string }

// LoadReply describes the loaded model.
type LoadReply struct {
	Manifest Manifest
	// SHA256 is the hash of manifest.json, in hexadecimal; since the manifest
	// holds the hash of every other file it names the whole model.
	SHA256 string
}

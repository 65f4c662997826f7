package inference

// ManifestFile is the manifest's name inside a model folder.
const ManifestFile = "manifest.json"

// manifestFormat is the version of the manifest's layout that this code serves.
const manifestFormat = 1

// Manifest is the contract file that the export writes next to a SavedModel.
type Manifest struct {
	Format  int    `json:"format"`
	Name    string `json:"name"`
	Version string `json:"version"`
	// Commit is the training code's, for the record only.
	Commit     string               `json:"commit"`
	Files      map[string]string    `json:"files"` // path inside the folder → sha256, hexadecimal
	Current    CurrentSpec          `json:"current"`
	Video      VideoSpec            `json:"video"`
	Signatures map[string]Signature `json:"signatures"` // "encode_frame", "step"
	Labels     []string             `json:"labels"`     // ["normal", "abnormal"]
	Decision   Decision             `json:"decision"`
	Rule       Rule                 `json:"rule"`
	// Offset describes the output local_loss; nil if the model has none.
	Offset *Offset `json:"offset,omitempty"`
	// Familiarity is when a sense counts as unlike what the model learnt; nil if none ever
	// does.
	Familiarity *Familiarity `json:"familiarity,omitempty"`
	// Sampling is the tested meter rates; nil in releases without the section (see
	// samplingOf).
	Sampling *Sampling `json:"sampling,omitempty"`
	// Metrics are the export's own figures on held-out batches, for people.
	Metrics map[string]float64 `json:"metrics"`
	Golden  Golden             `json:"golden"`
}

// CurrentSpec is the window of current: Samples × Phases at RateHz, in Unit.
type CurrentSpec struct {
	RateHz  float64 `json:"rate_hz"`
	Samples int     `json:"samples"`
	Phases  int     `json:"phases"`
	Unit    string  `json:"unit"` // "A"
}

// VideoSpec is the window of video: Frames at RateHz, each Width × Height
// pixels in Channels order, encoded to Tokens × Dim.
type VideoSpec struct {
	RateHz   float64 `json:"rate_hz"`
	Frames   int     `json:"frames"`
	Width    int     `json:"width"`
	Height   int     `json:"height"`
	Channels string  `json:"channels"` // "RGB"
	Resize   string  `json:"resize"`   // "area"
	Tokens   int     `json:"tokens"`
	Dim      int     `json:"dim"`
	// Background is the shape of encode_frame's background, batch included.
	Background []int `json:"background"`
	// EvidenceRows and EvidenceColumns give the grid of the evidence output, 0
	// where the model has none.
	EvidenceRows    int `json:"evidence_rows"`
	EvidenceColumns int `json:"evidence_columns"`
}

// Signature names and types the tensors of one function.
type Signature struct {
	Inputs  map[string]Tensor `json:"inputs"`
	Outputs map[string]Tensor `json:"outputs"`
}

// Tensor is a tensor's type and static shape, batch included.
type Tensor struct {
	DType string `json:"dtype"` // "float32", "uint8"
	Shape []int  `json:"shape"`
	Unit  string `json:"unit,omitempty"`
}

// Elements is how many values the tensor holds.
func (t Tensor) Elements() int {
	n := 1
	for _, size := range t.Shape {
		n *= size
	}
	return n
}

// Bytes is the tensor's size in memory.
func (t Tensor) Bytes() int {
	if t.DType == "uint8" {
		return t.Elements()
	}
	return 4 * t.Elements()
}

// CurrentBaselineSize is the number of values of step's CurrentBaseline, 0 if the model has none.
func (m Manifest) CurrentBaselineSize() int {
	if tensor, ok := m.Signatures[Step].Inputs[CurrentBaseline]; ok {
		return tensor.Elements()
	}
	return 0
}

// Decision turns probabilities into a state; chosen on validation batches for
// at most one false alarm in 60 h.
type Decision struct {
	// MeanSeconds is the length of the mean of p_abnormal.
	MeanSeconds int `json:"mean_seconds"`
	// Enter and Exit are the two thresholds on that mean.
	Enter float64 `json:"enter"`
	Exit  float64 `json:"exit"`
	// HoldSeconds is how long the mean must stay under Exit.
	HoldSeconds int `json:"hold_seconds"`
	// FreezeBackground is the p_abnormal above which the background is frozen, so that
	// a growing spot is not absorbed.
	FreezeBackground float64 `json:"freeze_background"`
	// FreezeAlone is the PCurrent or PVideo from which the background is frozen too; 0 in
	// releases without the key, which freeze it by p_abnormal only.
	FreezeAlone float64 `json:"freeze_alone,omitempty"`
	// FreezeAloneSeconds bounds how long one sense alone keeps the background frozen, so
	// that a lasting reflection is absorbed.
	FreezeAloneSeconds int `json:"freeze_alone_seconds,omitempty"`
	// Suspect is the filter of an early warning; nil in releases without the key, which
	// never suspect.
	Suspect *Suspect `json:"suspect,omitempty"`
}

// Suspect turns probabilities into a suspicion, as Decision turns them into an alarm;
// chosen on validation batches for at most one false suspicion in 4 h.
type Suspect struct {
	// MeanSeconds is the length of the mean of p_abnormal.
	MeanSeconds int `json:"mean_seconds"`
	// Enter and Exit are the two thresholds on that mean. Enter may be above that of the
	// alarm: a shorter mean varies more.
	Enter float64 `json:"enter"`
	Exit  float64 `json:"exit"`
	// HoldSeconds is how long the mean must stay under Exit.
	HoldSeconds int `json:"hold_seconds"`
}

// Rule is the fallback on current alone: abnormal while the coefficient of
// variation (std / mean, mean of the phases) is below the level.
type Rule struct {
	CV120 float64 `json:"cv_120"` // level for 120 s of current
	CV45  float64 `json:"cv_45"`  // level for 45 s, the weaker sign
}

// Offset is how the clock offset between the senses is estimated from local_loss, and
// how fast the agent may correct it. An offset is positive while the video is late:
// while its stamps lie behind those of the current they belong to.
type Offset struct {
	// ShiftsS are the shifts of local_loss in seconds, ascending.
	ShiftsS []float64 `json:"shifts_s"`
	// EventAmps makes a window count: some phase must change by more between
	// neighbouring samples during the window's frames. A window without an event has no
	// information about time.
	EventAmps float64 `json:"event_amps"`
	// ProminenceS is the distance in seconds, to both sides, of the losses with which
	// each loss is compared: the senses match where it is lowest relative to them. With
	// 0, or without the key, the losses are compared directly.
	ProminenceS float64 `json:"dip_s,omitempty"`
	// WindowSeconds is the length of current that the other numbers were chosen on.
	WindowSeconds float64 `json:"window_seconds"`
	// Pool is how many windows that count are kept. Without Confidence an estimate needs all
	// of them.
	Pool int `json:"pool"`
	// Confidence tells from the pooled curve whether its estimate is right; nil in releases
	// without the key, whose estimates are known if all quarters of the pool agree.
	Confidence *OffsetConfidence `json:"confidence,omitempty"`
	// StepSPerMin is how far the agent's correction may move in a minute, in
	// seconds; MostS is how far it may move from 0 either way.
	StepSPerMin float64 `json:"step_s_per_min"`
	MaxS        float64 `json:"most_s"`
}

// OffsetConfidence is a logistic regression, calibrated by the trainer: an estimate is
// right, that is within 1 s of the true offset, with the probability
//
//	1 / (1 + exp(−(Intercept + Σ Weight · (feature − Mean) / Std)))
type OffsetConfidence struct {
	// MinWindows is the least number of windows of an estimate.
	MinWindows int `json:"min_windows"`
	// Threshold is the probability from which an estimate is known.
	Threshold float64 `json:"threshold"`
	Intercept float64 `json:"intercept"`
	// Features are the coefficients by name; the names are OffsetFeatures.
	Features map[string]Coefficient `json:"features"`
}

// Coefficient weighs one feature of a regression: Weight · (feature − Mean) / Std.
type Coefficient struct {
	Mean   float64 `json:"mean"`
	Std    float64 `json:"std"`
	Weight float64 `json:"weight"`
}

// Golden names the golden vectors.
type Golden struct {
	File      string  `json:"file"`
	Tolerance float64 `json:"tolerance"`
}

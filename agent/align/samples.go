package align

import "meltwatch/drivers"

// Samples are those that the window may still use, oldest first. The slice is
// the aligner's own: read it before the next call.
func (a *Aligner) Samples() []drivers.Sample { return a.samples.values }

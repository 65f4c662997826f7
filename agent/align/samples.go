package align

import "meltwatch/drivers"

// Samples returns the samples that a window may still use, oldest first. The slice
// belongs to the aligner and is valid until the next call.
func (a *Aligner) Samples() []drivers.Sample { return a.samples.values }

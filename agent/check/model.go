package check

import (
	"context"
	"path/filepath"

	"meltwatch/agent/infer"
	"meltwatch/agent/settings"
	"meltwatch/inference"
)

func tryManifest(_ context.Context, k *checker) outcome {
	manifest, _, err := inference.ReadManifest(k.config.Model.Path)
	if err != nil {
		return failure(err)
	}
	o := success("%s %s", manifest.Name, manifest.Version)
	o.keep = func(k *checker) { k.manifest, k.hasModel = manifest, true }
	return o
}

func tryThresholds(_ context.Context, k *checker) outcome {
	return from("the thresholds fit the model", settings.CheckThresholds(k.config.State, k.manifest.Decision))
}

// trySampling warns: at another rate than the model was tested at, the rule decides.
func trySampling(_ context.Context, k *checker) outcome {
	o := from("the model was tested at the meter's rate", settings.CheckSampling(k.config.Meters, &k.manifest))
	for i := range o.lines {
		if o.lines[i].Status == Fail {
			o.lines[i].Status = Warn
		}
	}
	return o
}

// tryModel loads the model as the agent does.
func tryModel(ctx context.Context, k *checker) outcome {
	programs, err := settings.Programs(k.config.Paths.Programs)
	if err != nil {
		return failure(err)
	}
	return from("loads and answers", try(ctx, func(ctx context.Context, a *answered) error {
		return infer.New(filepath.Join(programs, modelProgram), k.config.Model.Path, discard(), a).Run(ctx)
	}))
}

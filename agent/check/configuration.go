package check

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"meltwatch/agent/message"
	"meltwatch/agent/remote"
	"meltwatch/config"
	"meltwatch/durable"
)

// tryConfig reads the file under the rules of this release. Faults that an earlier
// release accepted do not stop an agent, so the other checks are still made.
func tryConfig(_ context.Context, k *checker) outcome {
	text, err := config.Text(k.options.Path)
	if err != nil {
		return outcome{lines: []Line{{Status: Fail, Detail: err.Error() + "; name the file with --config, or let this user read it"}}}
	}
	c, warnings, err := config.Tolerate(text)
	if err != nil {
		return failure(err)
	}
	o := success("%s", k.options.Path)
	if len(warnings) > 0 {
		o = failure(warnings)
		o.passable = true
	}
	o.keep = func(k *checker) { k.document, k.config = text, c }
	return o
}

// tryRevision finds out which configuration is in force: the one that the other checks
// use, because an agent does.
func tryRevision(_ context.Context, k *checker) outcome {
	if _, err := missingFolders(k.config.Paths.State); err != nil {
		return outcome{lines: []Line{{Status: Skip, Detail: "not checked because of the fault of storage"}}}
	}
	boot, err := durable.KernelBootID()
	if err != nil {
		return outcome{lines: []Line{failed(err)}, passable: true}
	}
	force, err := remote.InForce(remote.Settings{
		Files:      k.files(filepath.Join(k.config.Paths.State, "remote")),
		KernelBoot: boot,
		Root:       message.Root(k.config.Site, k.config.Furnace),
		Log:        discard(),
	}, k.document)
	if err != nil {
		err = fmt.Errorf("%w, and the file itself runs: repair or delete the file in the state folder, and send the configuration again", err)
		return outcome{lines: []Line{failed(err)}, passable: true}
	}
	detail := "the file itself"
	if force.Revision > 0 {
		detail = fmt.Sprintf("revision %d of config/desired, over the file", force.Revision)
	}
	if force.Trial {
		detail += ", on trial"
	}
	o := success("%s", detail)
	if len(force.Faults) > 0 {
		o.lines = nil
		for _, f := range force.Faults {
			o.lines = append(o.lines, Line{Status: Fail, Key: f.Key, Detail: f.Message + "; in force is " + detail, cause: errors.New(f.Message)})
		}
		o.passable = true
	}
	o.keep = func(k *checker) { k.config = force.Config }
	return o
}

package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"meltwatch/agent/settings"
	"meltwatch/child"
	"meltwatch/drivers"
	"meltwatch/inference"
)

// The children's programs.
const (
	cameraProgram = "meltwatch-camera"
	modelProgram  = "meltwatch-infer"
)

func tryCameraProgram(ctx context.Context, k *checker) outcome {
	if !k.config.Camera.Enabled {
		return success("%s is not needed: the camera is not enabled", cameraProgram)
	}
	return k.tryProgram(ctx, cameraProgram, child.Spec{Service: "Camera", Version: drivers.CameraVersion})
}

func tryModelProgram(ctx context.Context, k *checker) outcome {
	return k.tryProgram(ctx, modelProgram, child.Spec{Service: "Model", Version: inference.ChildVersion, Env: []string{"TF_CPP_MIN_LOG_LEVEL=2"}})
}

// tryProgram starts a child's program and asks for its version, as the agent does.
func (k *checker) tryProgram(ctx context.Context, name string, spec child.Spec) outcome {
	folder, err := settings.Programs(k.config.Paths.Programs)
	if err != nil {
		return failure(err)
	}
	spec.Program, spec.Log = filepath.Join(folder, name), discard()
	info, err := os.Stat(spec.Program)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return failure(fmt.Errorf("%s is missing: install it, or name its folder", spec.Program))
	case err != nil:
		return failure(err)
	case !info.Mode().IsRegular():
		return failure(fmt.Errorf("%s is not a file: install the program again", spec.Program))
	case info.Mode().Perm()&0o111 == 0:
		return failure(fmt.Errorf("%s is not executable: chmod 755, or install it again", spec.Program))
	}
	process, err := child.Start(ctx, spec)
	if err != nil {
		return failure(explained(ctx, spec.Program, err))
	}
	process.Close()
	return success("%s starts", spec.Program)
}

// loaderFault is what the dynamic loader writes before it ends a program.
const loaderFault = "error while loading shared libraries"

// explained adds the remedy to the error of a program that does not start.
func explained(ctx context.Context, program string, err error) error {
	switch {
	case strings.Contains(err.Error(), loaderFault):
		return fmt.Errorf("%w; missing: %s: install the packages that hold these libraries (apt-file search NAME), or the program's own package again", err, missingLibraries(ctx, program))
	case errors.Is(err, context.DeadlineExceeded), strings.Contains(err.Error(), "install programs of one release"):
		return err
	default:
		return fmt.Errorf("%w; install the program of this release and of this machine's architecture", err)
	}
}

var notFound = regexp.MustCompile(`(?m)^\s*(\S+) => not found`)

// missingLibraries asks the dynamic loader for all libraries that it misses. The program
// itself does not run: its loader has answered before.
func missingLibraries(ctx context.Context, program string) string {
	list := exec.CommandContext(ctx, program)
	list.Env = append(os.Environ(), "LD_TRACE_LOADED_OBJECTS=1")
	text, err := list.Output()
	var names []string
	for _, found := range notFound.FindAllStringSubmatch(string(text), -1) {
		names = append(names, found[1])
	}
	if err != nil || names == nil {
		return "the library above"
	}
	return strings.Join(names, ", ")
}

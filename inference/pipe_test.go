package inference

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A pipe in the place of a model's file is refused at once: the page lists the folders of
// candidates.
func TestPipesInAModelFolderAreRefused(t *testing.T) {
	const pipe = "pipe"
	for name, look := range map[string]func(folder string) error{
		ManifestFile: func(folder string) error { _, _, err := ReadManifest(folder); return err },
		pipe:         func(folder string) error { return Manifest{Files: map[string]string{pipe: "00"}}.VerifyFiles(folder) },
	} {
		folder := t.TempDir()
		path := filepath.Join(folder, name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		refused := make(chan error, 1)
		go func() { refused <- look(folder) }()
		select {
		case err := <-refused:
			if err == nil {
				t.Errorf("%s is taken for a file", name)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s blocks", name)
			release(t, path)
		}
	}
}

// release lets who waits for a writer of a pipe go on.
func release(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
}

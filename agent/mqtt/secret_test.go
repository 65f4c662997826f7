package mqtt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A secret is a regular file of a sensible size; anything else is refused at once.
func TestSecretsAreRegularFiles(t *testing.T) {
	folder := t.TempDir()
	pipe := filepath.Join(folder, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(folder, "huge")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 1<<40); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, "/dev/zero", "/dev/tty", folder, huge, filepath.Join(folder, "missing")} {
		began := time.Now()
		if secret, err := Secret(path); err == nil {
			t.Errorf("%s: read as a secret of %d bytes", path, len(secret))
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %s", path, took)
		}
	}
	good := put(t, folder, "good", []byte("melt\n"))
	if secret, err := Secret(good); err != nil || secret != "melt" {
		t.Errorf("%q, %v", secret, err)
	}
	if _, err := Secret(pipe); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Error(err)
	}
}

func TestSecretIsReadFromACredential(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "broker"), []byte("melt\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", folder)
	if got, err := Secret("broker"); err != nil || got != "melt" {
		t.Fatalf("got %q, %v", got, err)
	}
	if _, err := Secret(filepath.Join(folder, "none")); err == nil {
		t.Fatal("a missing file gave a secret")
	}
}

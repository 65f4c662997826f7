package credential

import (
	"crypto/tls"
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
		if secret, err := Read(path); err == nil {
			t.Errorf("%s: read as a secret of %d bytes", path, len(secret))
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %s", path, took)
		}
	}
	good := filepath.Join(folder, "good")
	if err := os.WriteFile(good, []byte("melt\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if secret, err := Read(good); err != nil || secret != "melt" {
		t.Errorf("%q, %v", secret, err)
	}
	if _, err := Read(pipe); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Error(err)
	}
}

func TestSecretIsReadFromACredential(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "broker"), []byte("melt\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", folder)
	if got, err := Read("broker"); err != nil || got != "melt" {
		t.Fatalf("got %q, %v", got, err)
	}
	if _, err := Read(filepath.Join(folder, "none")); err == nil {
		t.Fatal("a missing file gave a secret")
	}
}

func TestTLSFilesThatAreWrongAreNamed(t *testing.T) {
	folder := t.TempDir()
	empty := filepath.Join(folder, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(folder, "none")
	for want, files := range map[string][3]string{
		"ca_file: holds no PEM":          {empty},
		"ca_file: read secret":           {none},
		"cert_file: read secret":         {"", none, empty},
		"key_file: read secret":          {"", empty, none},
		"cert_file and key_file: tls: f": {"", empty, empty},
	} {
		if _, err := TLS(files[0], files[1], files[2]); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if c, err := TLS("", "", ""); err != nil || c.MinVersion != tls.VersionTLS12 {
		t.Errorf("got %v, %v", c, err)
	}
}

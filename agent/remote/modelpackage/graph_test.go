package modelpackage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meltwatch/agent/message"
)

// A signed and intact package is refused if its graph has an operation that writes
// files.
func TestSignedPackageThatWritesFilesIsRefused(t *testing.T) {
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(product)); err != nil {
		t.Fatal(err)
	}
	graph, manifest := filepath.Join(folder, "saved_model.pb"), filepath.Join(folder, "manifest.json")
	before, err := os.ReadFile(graph)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	hash := func(b []byte) string { sum := sha256.Sum256(b); return hex.EncodeToString(sum[:]) }
	after := bytes.Replace(before, []byte("\x12\x09Transpose"), []byte("\x12\x09WriteFile"), 1)
	text = bytes.Replace(text, []byte(hash(before)), []byte(hash(after)), 1)
	var body bytes.Buffer
	name := filepath.Join(t.TempDir(), "model.tar")
	if err := errors.Join(os.WriteFile(graph, after, 0o600), os.WriteFile(manifest, text, 0o600), Write(&body, folder), os.WriteFile(name, body.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	sha, size, err := Sum(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name, t.TempDir(), message.SignedPackage{SHA256: sha, Size: size}); err == nil || !strings.Contains(err.Error(), `operation "WriteFile"`) {
		t.Errorf("%v", err)
	}
}

package inference

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// maxManifest bounds the file in bytes; a real one has a few kilobytes.
const maxManifest = 1 << 20

// parseManifest decodes a manifest strictly, so that a misspelt or newer key is
// an error and never a silent default, and checks it.
func parseManifest(data []byte) (Manifest, error) {
	// The format is checked first, because the keys of another format would be reported
	// as unknown.
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Manifest{}, fmt.Errorf("decode manifest: %w; %s", err, exportRemedy)
	}
	if head.Format != manifestFormat {
		return Manifest{}, fmt.Errorf("check manifest: %w", Manifest{Format: head.Format}.checkFormat())
	}
	var m Manifest
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("decode manifest: %w; %s", err, exportRemedy)
	}
	if err := m.Check(); err != nil {
		return Manifest{}, fmt.Errorf("check manifest: %w", err)
	}
	return m, nil
}

// openFlags open a file of a model. A pipe in its place must not block who lists models.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK

// checkRegular refuses what is not a regular file: a pipe or a device has no end.
func checkRegular(file *os.File, path string) error {
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file; copy the whole model folder again", path)
	}
	return err
}

// ReadManifest reads and checks the manifest of a model folder. The second
// value is the sha256 of manifest.json, in hexadecimal.
func ReadManifest(dir string) (Manifest, string, error) {
	path := filepath.Join(dir, ManifestFile)
	file, err := os.OpenFile(path, openFlags, 0)
	if err != nil {
		return Manifest{}, "", fmt.Errorf("open manifest: %w; name the model's folder, such as /usr/share/meltwatch/models/product", err)
	}
	defer file.Close()
	if err := checkRegular(file, path); err != nil {
		return Manifest{}, "", err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxManifest+1))
	if err != nil {
		return Manifest{}, "", fmt.Errorf("read manifest: %w", err)
	}
	if len(data) > maxManifest {
		return Manifest{}, "", fmt.Errorf("read %s: more than %d bytes; %s", path, maxManifest, exportRemedy)
	}
	m, err := parseManifest(data)
	if err != nil {
		return Manifest{}, "", fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.Sum256(data)
	return m, hex.EncodeToString(sum[:]), nil
}

// VerifyFiles compares every file of a model folder with its sha256 in the
// manifest. A file that the manifest does not name is a fault too, because the
// manifest's hash identifies the whole model.
func (m Manifest) VerifyFiles(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open model folder: %w", err)
	}
	defer root.Close()
	var faults []error
	for _, path := range slices.Sorted(maps.Keys(m.Files)) {
		if err := verifyFile(root, path, m.Files[path]); err != nil {
			faults = append(faults, err)
		}
	}
	strangers, err := m.unlistedFiles(root.FS())
	if err != nil {
		return fmt.Errorf("list model folder %s: %w", dir, err)
	}
	for _, path := range strangers {
		faults = append(faults, fmt.Errorf("file %s is not in the manifest; remove it or %s", path, exportRemedy))
	}
	if len(faults) > 0 {
		return fmt.Errorf("verify model folder %s: %w", dir, errors.Join(faults...))
	}
	return nil
}

func verifyFile(root *os.Root, path, want string) error {
	file, err := root.OpenFile(path, openFlags, 0)
	if err != nil {
		return fmt.Errorf("%w; copy the whole model folder again", err)
	}
	defer file.Close()
	if err := checkRegular(file, path); err != nil {
		return err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if have := hex.EncodeToString(hash.Sum(nil)); have != want {
		return fmt.Errorf("file %s has sha256 %s…, the manifest says %.12s…; copy the whole model folder again", path, have[:12], want)
	}
	return nil
}

// unlistedFiles lists files that the manifest does not name.
func (m Manifest) unlistedFiles(folder fs.FS) ([]string, error) {
	var found []string
	err := fs.WalkDir(folder, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path == ManifestFile {
			return err
		}
		if _, ok := m.Files[path]; !ok {
			found = append(found, path)
		}
		return nil
	})
	return found, err
}

package modelpackage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"meltwatch/agent/message"
	"meltwatch/config/strict"
	"meltwatch/inference"
)

// ReadSigned reads the .sig file of a package.
func ReadSigned(path string) (s message.SignedPackage, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("read signature: %w; create it with `meltwatch model sign`", err)
	}
	if err := strict.Decode(text, 4<<10, &s); err != nil {
		return s, fmt.Errorf("read signature %s: %w; create it with `meltwatch model sign`", path, err)
	}
	return s, nil
}

// Open compares a package with its signed hash and size, unpacks it into an existing
// empty folder, and checks its manifest, every file's hash and the operations of its
// graph. Without an error, the unpacked files are durable.
func Open(name, folder string, signed message.SignedPackage) (inference.Manifest, error) {
	sha, size, err := Sum(name)
	if err != nil {
		return inference.Manifest{}, err
	}
	if sha != signed.SHA256 || size != signed.Size {
		return inference.Manifest{}, fmt.Errorf("the package has sha256 %.12s… and %d bytes, signed are %.12s… and %d: send it again", sha, size, signed.SHA256, signed.Size)
	}
	file, err := os.Open(name)
	if err != nil {
		return inference.Manifest{}, err
	}
	defer file.Close()
	if err := Unpack(file, folder, signed.Size); err != nil {
		return inference.Manifest{}, err
	}
	manifest, err := inference.CheckFolder(folder)
	if err != nil {
		return manifest, err
	}
	return manifest, syncAll(folder)
}

// syncAll makes a folder's files durable.
func syncAll(folder string) error {
	return filepath.WalkDir(folder, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		return errors.Join(file.Sync(), file.Close())
	})
}

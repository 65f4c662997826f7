// Package modelpackage writes and reads model packages. A package is one file, an
// uncompressed tar of a model folder: manifest.json, the SavedModel and the golden
// vectors. The manifest holds the sha256 of every other file. The signature covers the
// sha256 and size of the whole file, so that a box can refuse a package before it has
// received any of it.
//
// Unpacking is bounded: nothing is compressed, and no file is larger than the package.
// Links, devices and names outside the folder are refused. After an error the caller
// removes what was written. Only Open syncs files.
package modelpackage

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// maxFiles bounds the number of files in a package; a real one has five.
	maxFiles = 256
	// maxName bounds a name in bytes, maxDepth the number of its folders.
	maxName  = 200
	maxDepth = 8
)

// Write packs a model folder. The same folder gives the same bytes.
func Write(w io.Writer, folder string) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("open model folder: %w", err)
	}
	defer root.Close()
	out := tar.NewWriter(w)
	var names []string
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("list model folder: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := writeFile(out, root, name); err != nil {
			return fmt.Errorf("pack %s: %w", name, err)
		}
	}
	return out.Close()
}

func writeFile(out *tar.Writer, root *os.Root, name string) error {
	file, err := root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	// Time, owner and mode of the packing machine are left out.
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: 0o644, Format: tar.FormatPAX}
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(out, file)
	return err
}

// Unpack unpacks a package into a folder, which must exist. most bounds the bytes
// written; the caller passes the size of the package.
func Unpack(r io.Reader, folder string, most int64) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	defer root.Close()
	in := tar.NewReader(r)
	for files := 0; ; files++ {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read package: %w: it is damaged, or another format than tar", err)
		}
		if files == maxFiles {
			return fmt.Errorf("package has too many files: at most %d are allowed", maxFiles)
		}
		if err := checkHeader(header); err != nil {
			return err
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		if header.Size > most {
			return fmt.Errorf("package file %q is larger than the package itself", header.Name)
		}
		most -= header.Size
		if err := unpackFile(root, in, header); err != nil {
			return fmt.Errorf("unpack %q: %w", header.Name, err)
		}
	}
}

func checkHeader(h *tar.Header) error {
	name := strings.TrimSuffix(h.Name, "/")
	switch {
	case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir:
		return fmt.Errorf("package entry %.200q is invalid: links and devices are refused", h.Name)
	case len(name) > maxName || strings.Count(name, "/") >= maxDepth:
		return fmt.Errorf("package entry %.64q…: the name is too long or too deep", h.Name)
	case !filepath.IsLocal(name) || path.Clean(name) != name || strings.ContainsAny(name, "\x00\\"):
		return fmt.Errorf("package entry %q is invalid: want a plain name inside the package's folder", h.Name)
	}
	return nil
}

// unpackFile does not overwrite: a repeated name is refused.
func unpackFile(root *os.Root, in io.Reader, h *tar.Header) error {
	if folder := path.Dir(h.Name); folder != "." {
		if err := root.MkdirAll(folder, 0o750); err != nil {
			return err
		}
	}
	file, err := root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	n, err := io.Copy(file, io.LimitReader(in, h.Size))
	if err == nil && n != h.Size {
		err = io.ErrUnexpectedEOF
	}
	return errors.Join(err, file.Close())
}

// Sum returns a file's sha256, in hexadecimal, and its size in bytes.
func Sum(name string) (sha string, size int64, err error) {
	file, err := os.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	hash := sha256.New()
	if size, err = io.Copy(hash, file); err != nil {
		return "", 0, fmt.Errorf("read %s: %w", name, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), size, nil
}

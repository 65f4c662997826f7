// Package credential reads passwords, keys and certificates, for the agent and for
// meltctl. A secret is never part of an error.
package credential

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Read reads a secret from a file. A bare name is a systemd credential, a file
// in the folder that systemd names by $CREDENTIALS_DIRECTORY.
func Read(name string) (string, error) {
	text, err := read(name)
	return strings.TrimRight(string(text), "\r\n"), err
}

// FolderError tells that a bare name was given to a process that systemd has given no
// credentials.
type FolderError struct{ Name string }

func (e *FolderError) Error() string {
	return fmt.Sprintf("%q is not a path, and systemd's credential folder is missing: give a path, or LoadCredential=%s:… in the unit", e.Name, e.Name)
}

func read(name string) ([]byte, error) {
	path := name
	if !strings.Contains(name, "/") {
		folder := os.Getenv("CREDENTIALS_DIRECTORY")
		if folder == "" {
			return nil, &FolderError{name}
		}
		path = filepath.Join(folder, name)
	}
	text, err := readRegular(path)
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	return text, nil
}

// maxSecret bounds a secret, a key or a bundle of certificates, in bytes.
const maxSecret = 1 << 20

// readRegular reads a regular file: a pipe would block the part that reads it, and a
// device has no end.
func readRegular(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file: write the secret into one", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	if err == nil && len(text) > maxSecret {
		err = fmt.Errorf("%s is over %d bytes: it cannot be a secret", path, maxSecret)
	}
	return text, err
}

// TLS returns the settings of a client that verifies the server by the authorities in
// the file ca, or by the system's if ca is empty, and that shows the certificate in the
// file cert, whose key is in the file key, unless cert is empty. Errors name ca_file,
// cert_file or key_file.
func TLS(ca, cert, key string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		text, err := read(ca)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New("ca_file: holds no PEM certificate: export the authority's certificate as PEM")
		}
	}
	if cert != "" {
		certificate, err := read(cert)
		if err != nil {
			return nil, fmt.Errorf("cert_file: %w", err)
		}
		private, err := read(key)
		if err != nil {
			return nil, fmt.Errorf("key_file: %w", err)
		}
		pair, err := tls.X509KeyPair(certificate, private)
		if err != nil {
			return nil, fmt.Errorf("cert_file and key_file: %w: give a certificate and its own key, unencrypted, as PEM", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

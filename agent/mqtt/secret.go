package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Secret reads a secret from a file. A bare name is a systemd credential, a file
// in the folder that systemd names by $CREDENTIALS_DIRECTORY.
func Secret(name string) (string, error) {
	path := name
	if !strings.Contains(name, "/") {
		folder := os.Getenv("CREDENTIALS_DIRECTORY")
		if folder == "" {
			return "", fmt.Errorf("%q is no path and there is no systemd credential folder: give a path, or LoadCredential=%s:… in the unit", name, name)
		}
		path = filepath.Join(folder, name)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// tlsConfig verifies the broker by the authorities in caFile, or the system's.
func tlsConfig(caFile string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return c, nil
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("mqtt.ca_file: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(text) {
		return nil, errors.New("mqtt.ca_file: holds no PEM certificate: export the authority's certificate as PEM")
	}
	return c, nil
}

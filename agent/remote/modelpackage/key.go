package modelpackage

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

const pemType = "PRIVATE KEY"

// NewKey creates a private key file, PKCS #8 in PEM, readable by its owner only. It
// returns the public key in the format of trust.….
func NewKey(path string) (public string, err error) {
	pub, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return "", err
	}
	body, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("create key: %w", err)
	}
	err = errors.Join(pem.Encode(file, &pem.Block{Type: pemType, Bytes: body}), file.Sync(), file.Close())
	return base64.StdEncoding.EncodeToString(pub), err
}

// ReadKey reads a private key file. No error contains any of its content.
func ReadKey(path string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemType {
		return nil, fmt.Errorf("%s holds no private key in PEM: make one with `meltwatch model keygen`", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s holds no PKCS #8 key: make one with `meltwatch model keygen`", path)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no Ed25519 key: make one with `meltwatch model keygen`", path)
	}
	return private, nil
}

// PublicOf returns the public key of a private one in the format of trust.….
func PublicOf(key ed25519.PrivateKey) string {
	public, _ := key.Public().(ed25519.PublicKey) // always this type
	return base64.StdEncoding.EncodeToString(public)
}

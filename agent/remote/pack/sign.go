package pack

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"regexp"

	"meltwatch/config"
)

// Signed names a package and who vouches for it. It is the content of the file
// that stands beside a package, and part of model/desired.
type Signed struct {
	SHA256 string `json:"sha256"` // of the whole file, hexadecimal
	Size   int64  `json:"size"`   // bytes
	// Key names the key of trust.model_keys that made Signature, in base64.
	Key       string `json:"key"`
	Signature string `json:"signature"`
}

// ErrSignature is what a package without a trusted signature is refused with.
var ErrSignature = errors.New("no trusted key vouches for this package")

var hexSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (s Signed) text() []byte {
	return fmt.Appendf(nil, "meltwatch model 1\n%s\n%d\n", s.SHA256, s.Size)
}

// Sign vouches for a package by a key that boxes know under a name.
func (s *Signed) Sign(name string, key ed25519.PrivateKey) {
	s.Key, s.Signature = name, base64.StdEncoding.EncodeToString(ed25519.Sign(key, s.text()))
}

// Verify holds the signature against trusted keys by name.
func (s Signed) Verify(keys map[string]string) error {
	if !hexSHA256.MatchString(s.SHA256) {
		return errors.New("sha256: is not 64 hexadecimal digits: take the file that `meltwatch model sign` wrote")
	}
	public, ok := config.Key(keys[s.Key])
	if !ok {
		return fmt.Errorf("key: %w: %.64q is not among trust.model_keys", ErrSignature, s.Key)
	}
	signature, err := base64.StdEncoding.DecodeString(s.Signature)
	if err != nil || !ed25519.Verify(public, s.text(), signature) {
		return fmt.Errorf("signature: %w: it was made with another key, or for another package", ErrSignature)
	}
	return nil
}

const pemType = "PRIVATE KEY"

// NewKey makes a private key file, PKCS #8 in PEM, readable by its owner alone,
// and returns the public key as trust.… wants it.
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
		return "", fmt.Errorf("make a key: %w", err)
	}
	err = errors.Join(pem.Encode(file, &pem.Block{Type: pemType, Bytes: body}), file.Sync(), file.Close())
	return base64.StdEncoding.EncodeToString(pub), err
}

// ReadKey reads a private key file. Its content never reaches an error.
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

// PublicOf is a private key's public one, as trust.… wants it.
func PublicOf(key ed25519.PrivateKey) string {
	public, _ := key.Public().(ed25519.PublicKey) // it is no other type
	return base64.StdEncoding.EncodeToString(public)
}

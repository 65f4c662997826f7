package message

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"

	"meltwatch/config"
)

// SignedPackage names a package and who vouches for it. It is the content of the file
// that stands beside a package, and part of model/desired.
type SignedPackage struct {
	SHA256 string `json:"sha256"` // of the whole file, hexadecimal
	Size   int64  `json:"size"`   // bytes
	// Key names the key of trust.model_keys that made Signature, in base64.
	Key       string `json:"key"`
	Signature string `json:"signature"`
}

// ErrSignature is what a package without a trusted signature is refused with.
var ErrSignature = errors.New("no trusted key vouches for this package")

var hexSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (s SignedPackage) text() []byte {
	return fmt.Appendf(nil, "meltwatch model 1\n%s\n%d\n", s.SHA256, s.Size)
}

// Sign vouches for a package by a key that boxes know under a name.
func (s *SignedPackage) Sign(name string, key ed25519.PrivateKey) {
	s.Key, s.Signature = name, base64.StdEncoding.EncodeToString(ed25519.Sign(key, s.text()))
}

// Verify holds the signature against trusted keys by name.
func (s SignedPackage) Verify(keys map[string]string) error {
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

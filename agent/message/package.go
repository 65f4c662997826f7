package message

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"

	"meltwatch/config"
)

// SignedPackage identifies a package and holds its signature. It is the content of a
// package's .sig file, and part of model/desired.
type SignedPackage struct {
	SHA256 string `json:"sha256"` // of the whole file, hexadecimal
	Size   int64  `json:"size"`   // bytes
	// Key names the key of trust.model_keys that made Signature, in base64.
	Key       string `json:"key"`
	Signature string `json:"signature"`
}

// ErrSignature is the error of a package without a trusted signature.
var ErrSignature = errors.New("the package has no signature of a trusted key")

var hexSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (s SignedPackage) text() []byte {
	return fmt.Appendf(nil, "meltwatch model 1\n%s\n%d\n", s.SHA256, s.Size)
}

// Sign signs the package. name is the key's name in trust.model_keys.
func (s *SignedPackage) Sign(name string, key ed25519.PrivateKey) {
	s.Key, s.Signature = name, base64.StdEncoding.EncodeToString(ed25519.Sign(key, s.text()))
}

// Verify checks the signature against the trusted keys, by name.
func (s SignedPackage) Verify(keys map[string]string) error {
	if !hexSHA256.MatchString(s.SHA256) {
		return errors.New("sha256: is invalid: want 64 hexadecimal digits; take the file that `meltwatch model sign` wrote")
	}
	public, ok := config.Key(keys[s.Key])
	if !ok {
		return fmt.Errorf("key: %w: %.64q is missing from trust.model_keys", ErrSignature, s.Key)
	}
	signature, err := base64.StdEncoding.DecodeString(s.Signature)
	if err != nil || !ed25519.Verify(public, s.text(), signature) {
		return fmt.Errorf("signature: %w: it was made with another key, or for another package", ErrSignature)
	}
	return nil
}

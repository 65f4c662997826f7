package fleet

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"meltwatch/agent/remote/modelpackage"
)

// authority signs the boxes' certificates, for brokers that ask for one (mosquitto:
// require_certificate, use_identity_as_username). Its key stays in the folder that
// Provision writes to; no box receives it.
type authority struct {
	key  ed25519.PrivateKey
	cert *x509.Certificate
}

const (
	authorityYears = 20
	boxYears       = 10
)

// openAuthority reads the authority of a folder, or creates it.
func openAuthority(folder string) (authority, error) {
	keyFile, certFile := filepath.Join(folder, "ca.key"), filepath.Join(folder, "ca.pem")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return authority{}, err
	}
	_, err := modelpackage.NewKey(keyFile)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return authority{}, err
	}
	made := err == nil
	key, err := modelpackage.ReadKey(keyFile)
	if err != nil {
		return authority{}, err
	}
	if made {
		err = writeCertificate(certFile, authority{key: key}, "meltwatch boxes", key)
	}
	if err != nil {
		return authority{}, err
	}
	text, err := os.ReadFile(certFile)
	if err != nil {
		return authority{}, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return authority{}, fmt.Errorf("%s: missing PEM certificate: remove it and ca.key to create a new authority", certFile)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	return authority{key, cert}, err
}

// writeCertificate writes a certificate for a key. An authority without a certificate
// signs its own.
func writeCertificate(path string, a authority, name string, key ed25519.PrivateKey) error {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	now := time.Now()
	form := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.AddDate(0, 0, -1), NotAfter: now.AddDate(boxYears, 0, 0), // a box's clock may be slow
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	parent := a.cert
	if parent == nil {
		form.IsCA, form.BasicConstraintsValid, form.ExtKeyUsage = true, true, nil
		form.KeyUsage, form.NotAfter = x509.KeyUsageCertSign, now.AddDate(authorityYears, 0, 0)
		parent = form
	}
	body, err := x509.CreateCertificate(rand.Reader, form, parent, key.Public(), a.key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: body}), 0o644)
}

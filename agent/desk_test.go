package agent

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/modelpackage"
)

// desk is the operator who signs packages.
type desk struct {
	t       *testing.T
	private ed25519.PrivateKey
	public  string
}

func newDesk(t *testing.T) desk {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.pem")
	public, err := modelpackage.NewKey(path)
	if err != nil {
		t.Fatal(err)
	}
	private, err := modelpackage.ReadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return desk{t, private, public}
}

// variant packs and signs the product's model under another name, with an edited
// manifest.
func (d desk) variant(name string, edits ...string) (packed string, signed message.SignedPackage) {
	d.t.Helper()
	folder := d.t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("../inference/models/product")); err != nil {
		d.t.Fatal(err)
	}
	path := filepath.Join(folder, "manifest.json")
	text, err := os.ReadFile(path)
	if err != nil {
		d.t.Fatal(err)
	}
	edits = append(edits, `"name": "product"`, `"name": "`+name+`"`)
	for i := 0; i+1 < len(edits); i += 2 {
		edited := strings.Replace(string(text), edits[i], edits[i+1], 1)
		if edited == string(text) {
			d.t.Fatalf("the manifest has no %s", edits[i])
		}
		text = []byte(edited)
	}
	writeFile(d.t, path, string(text), 0o600)
	return d.packed(folder)
}

func (d desk) packed(folder string) (string, message.SignedPackage) {
	d.t.Helper()
	var body bytes.Buffer
	if err := modelpackage.Write(&body, folder); err != nil {
		d.t.Fatal(err)
	}
	path := filepath.Join(d.t.TempDir(), "model.tar")
	writeFile(d.t, path, body.String(), 0o600)
	return path, d.sign(path)
}

func (d desk) sign(path string) message.SignedPackage {
	d.t.Helper()
	sha, size, err := modelpackage.Sum(path)
	if err != nil {
		d.t.Fatal(err)
	}
	signed := message.SignedPackage{SHA256: sha, Size: size}
	signed.Sign("desk", d.private)
	return signed
}

package modelpackage

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meltwatch/agent/message"
)

const product = "../../../inference/models/product"

func TestPackedModelComesOutAsItWas(t *testing.T) {
	var body, again bytes.Buffer
	if err := errors.Join(Write(&body, product), Write(&again, product)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(body.Bytes(), again.Bytes()) {
		t.Error("the same folder gives different packages")
	}
	name := filepath.Join(t.TempDir(), "model.tar")
	if err := os.WriteFile(name, body.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	sha, size, err := Sum(name)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := Open(name, t.TempDir(), message.SignedPackage{SHA256: sha, Size: size})
	if err != nil || manifest.Name != "product" {
		t.Errorf("model %s, %v", manifest.Name, err)
	}
}

type entry struct {
	name string
	kind byte
	body string
	link string
}

func packed(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var body bytes.Buffer
	out := tar.NewWriter(&body)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Size: int64(len(e.body)), Linkname: e.link, Mode: 0o644}
		if err := out.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte(e.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return body.Bytes()
}

func many(n int) (entries []entry) {
	for i := range n {
		entries = append(entries, entry{fmt.Sprint("f", i), tar.TypeReg, "x", ""})
	}
	return entries
}

// A package must not affect anything outside its folder, or use more disk than its own
// size.
func TestHostilePackagesAreRefusedAndLeaveNothingOutside(t *testing.T) {
	long := strings.Repeat("n", 201)
	for name, entries := range map[string][]entry{
		"leaves by dots":     {{"../out", tar.TypeReg, "x", ""}},
		"leaves inside":      {{"a/../../out", tar.TypeReg, "x", ""}},
		"absolute":           {{"/tmp/meltwatch-out", tar.TypeReg, "x", ""}},
		"not plain":          {{"a/./b", tar.TypeReg, "x", ""}},
		"backslash":          {{`a\b`, tar.TypeReg, "x", ""}},
		"empty name":         {{"", tar.TypeReg, "x", ""}},
		"symbolic link":      {{"a", tar.TypeSymlink, "", "/etc"}},
		"hard link":          {{"a", tar.TypeLink, "", "/etc/passwd"}},
		"device":             {{"a", tar.TypeChar, "", ""}},
		"pipe":               {{"a", tar.TypeFifo, "", ""}},
		"link, then through": {{"a", tar.TypeSymlink, "", ".."}, {"a/out", tar.TypeReg, "x", ""}},
		"twice":              {{"a", tar.TypeReg, "x", ""}, {"a", tar.TypeReg, "y", ""}},
		"file as folder":     {{"a", tar.TypeReg, "x", ""}, {"a/b", tar.TypeReg, "y", ""}},
		"long name":          {{long, tar.TypeReg, "x", ""}},
		"deep":               {{strings.Repeat("d/", 9) + "f", tar.TypeReg, "x", ""}},
		"many files":         many(257),
	} {
		outer := t.TempDir()
		inner := filepath.Join(outer, "in")
		if err := os.Mkdir(inner, 0o700); err != nil {
			t.Fatal(err)
		}
		body := packed(t, entries...)
		if err := Unpack(bytes.NewReader(body), inner, int64(len(body))); err == nil {
			t.Errorf("%s: accepted", name)
		}
		beside, err := os.ReadDir(outer)
		if err != nil || len(beside) != 1 {
			t.Errorf("%s: left %v beside the folder, %v", name, beside, err)
		}
	}
}

// A sparse file of a terabyte needs a few hundred bytes in a tar, and would fill the
// disk when unpacked.
func TestBombIsRefusedBeforeItIsWritten(t *testing.T) {
	var body bytes.Buffer
	out := tar.NewWriter(&body)
	h := &tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: 512, Mode: 0o644, Format: tar.FormatPAX, PAXRecords: map[string]string{"MELTWATCH.x": "y"}}
	if err := errors.Join(out.WriteHeader(h)); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write(make([]byte, 512)); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	// The writer makes no sparse files, so the record is converted here; both have the
	// same length.
	sparse := bytes.Replace(body.Bytes(), []byte("MELTWATCH.x=y"), []byte("GNU.sparse.=1"), 1)
	for name, b := range map[string][]byte{"sparse": sparse, "larger than said": body.Bytes()} {
		folder := t.TempDir()
		if err := Unpack(bytes.NewReader(b), folder, 100); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if n := bytesUnder(t, folder); n > 100 {
			t.Errorf("%s: %d bytes were written", name, n)
		}
	}
}

func bytesUnder(t testing.TB, folder string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSignatureIsForOnePackageAndOneKey(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "key.pem")
	public, err := NewKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}
	if _, err := NewKey(path); err == nil {
		t.Error("a key was overwritten")
	}
	key, err := ReadKey(path)
	if err != nil || PublicOf(key) != public {
		t.Fatalf("read back: %v", err)
	}
	sum := sha256.Sum256([]byte("a package"))
	signed := message.SignedPackage{SHA256: hex.EncodeToString(sum[:]), Size: 9}
	signed.Sign("desk", key)
	trusted := map[string]string{"desk": public}
	if err := signed.Verify(trusted); err != nil {
		t.Fatal(err)
	}
	other, err := NewKey(filepath.Join(folder, "other.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*message.SignedPackage, map[string]string){
		"another size":    func(s *message.SignedPackage, _ map[string]string) { s.Size++ },
		"another package": func(s *message.SignedPackage, _ map[string]string) { s.SHA256 = strings.Repeat("0", 64) },
		"no hash":         func(s *message.SignedPackage, _ map[string]string) { s.SHA256 = "../../etc" },
		"another key":     func(_ *message.SignedPackage, k map[string]string) { k["desk"] = other },
		"an unknown name": func(s *message.SignedPackage, _ map[string]string) { s.Key = "attic" },
		"an empty key":    func(_ *message.SignedPackage, k map[string]string) { k["desk"] = "" },
		"no signature":    func(s *message.SignedPackage, _ map[string]string) { s.Signature = "" },
	} {
		s, keys := signed, map[string]string{"desk": public}
		change(&s, keys)
		if s.Verify(keys) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestChunksGoThereAndBack(t *testing.T) {
	body := bytes.Repeat([]byte("meltwatch"), 20_000) // 180,000 bytes: two chunks and a piece
	sum := sha256.Sum256(body)
	sha, size := hex.EncodeToString(sum[:]), int64(len(body))
	var back []byte
	for n := range Chunks(size) {
		payload, err := Chunk(sha, body[n*ChunkSize:min((n+1)*ChunkSize, size)])
		if err != nil {
			t.Fatal(err)
		}
		data, err := ParseChunk(payload, sha, size, n)
		if err != nil {
			t.Fatal(err)
		}
		back = append(back, data...)
		payload[len(payload)-1] ^= 1
		if _, err := ParseChunk(payload, sha, size, n); err == nil {
			t.Error("a damaged chunk was accepted")
		}
		if _, err := ParseChunk(payload, strings.Repeat("0", 64), size, n); !errors.Is(err, ErrStranger) {
			t.Errorf("another package's chunk: %v", err)
		}
	}
	if !bytes.Equal(back, body) {
		t.Error("something else came out")
	}
}

// FuzzChunk checks that no payload panics, and that accepted data has the right
// position and size.
func FuzzChunk(f *testing.F) {
	sha := strings.Repeat("0a", 32)
	good, err := Chunk(sha, []byte("data"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, int64(4), int64(0))
	f.Add([]byte{}, int64(-1), int64(1<<62))
	f.Fuzz(func(t *testing.T, payload []byte, size, n int64) {
		data, err := ParseChunk(payload, sha, size, n)
		if err == nil && (n < 0 || int64(len(data)) > size || len(data) > ChunkSize) {
			t.Errorf("accepted %d bytes as chunk %d of %d", len(data), n, size)
		}
	})
}

// FuzzUnpack checks that no package panics, hangs, writes outside its folder, or uses
// more disk than its length.
func FuzzUnpack(f *testing.F) {
	f.Add(packed(f, entry{"a/b", tar.TypeReg, "x", ""}, entry{"c", tar.TypeSymlink, "", "/"}))
	f.Add(packed(f, entry{"../a", tar.TypeReg, "x", ""}))
	f.Add([]byte("no tar"))
	outer := f.TempDir()
	inner := filepath.Join(outer, "in")
	if err := os.Mkdir(inner, 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_ = Unpack(bytes.NewReader(body), inner, int64(len(body))) // both an error and none are valid
		if n := bytesUnder(t, outer); n > int64(len(body)) {
			t.Errorf("%d bytes became %d", len(body), n)
		}
		if beside, err := os.ReadDir(outer); err != nil || len(beside) != 1 {
			t.Errorf("left %v beside the folder, %v", beside, err)
		}
		if inside, err := os.ReadDir(inner); err != nil || len(inside) > 0 { // for the next one
			if err := errors.Join(err, os.RemoveAll(inner), os.Mkdir(inner, 0o700)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

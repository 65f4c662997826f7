package modelpackage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// A package travels over MQTT in chunks, on model/chunk/<n> with n from 0. A
// payload is
//
//	32 bytes  sha256 of the whole package
//	32 bytes  sha256 of what follows
//	the chunk: ChunkSize bytes, the last one fewer
//
// The box tells on model/reported which chunk it wants next; it takes the next
// Ahead chunks in any order and what else comes not at all. So a transfer that
// was cut goes on where it stood.
const (
	// ChunkSize is how many bytes of a package a chunk carries.
	ChunkSize = 64 << 10
	// Ahead is how far beyond the next chunk the box listens.
	Ahead = 8

	chunkHead = 2 * sha256.Size
)

// Chunks is how many chunks a package of a size travels in.
func Chunks(size int64) int64 { return (size + ChunkSize - 1) / ChunkSize }

// Chunk makes the payload of one chunk of the package named by sha.
func Chunk(sha string, data []byte) ([]byte, error) {
	whole, err := hex.DecodeString(sha)
	if err != nil || len(whole) != sha256.Size {
		return nil, fmt.Errorf("%q is no sha256", sha)
	}
	own := sha256.Sum256(data)
	return append(append(whole, own[:]...), data...), nil
}

// ErrStranger is a chunk of another package.
var ErrStranger = errors.New("chunk of another package")

// ParseChunk checks the payload of chunk n of a package and returns what it
// carries, a part of payload.
func ParseChunk(payload []byte, sha string, size, n int64) ([]byte, error) {
	if len(payload) < chunkHead {
		return nil, fmt.Errorf("chunk %d has %d bytes: want %d of hashes and the data", n, len(payload), chunkHead)
	}
	if hex.EncodeToString(payload[:sha256.Size]) != sha {
		return nil, ErrStranger
	}
	data := payload[chunkHead:]
	if n < 0 || n >= Chunks(size) {
		return nil, fmt.Errorf("chunk %d is not one of %d", n, Chunks(size))
	}
	if want := min(ChunkSize, size-n*ChunkSize); int64(len(data)) != want {
		return nil, fmt.Errorf("chunk %d carries %d bytes, want %d", n, len(data), want)
	}
	if own := sha256.Sum256(data); !bytes.Equal(own[:], payload[sha256.Size:chunkHead]) {
		return nil, fmt.Errorf("chunk %d is damaged", n)
	}
	return data, nil
}

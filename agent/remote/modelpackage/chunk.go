package modelpackage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// A package is sent over MQTT in chunks, on model/chunk/<n> with n from 0. A payload is
//
//	32 bytes  sha256 of the whole package
//	32 bytes  sha256 of what follows
//	the chunk: ChunkSize bytes, the last one fewer
//
// The box reports its next missing chunk on model/reported. It accepts the next Ahead
// chunks in any order and ignores all others. An interrupted transfer therefore
// continues where it stopped.
const (
	// ChunkSize is the number of bytes of a package in a chunk.
	ChunkSize = 64 << 10
	// Ahead is the number of chunks, from the next missing one on, that the box
	// accepts.
	Ahead = 8

	chunkHead = 2 * sha256.Size
)

// Chunks is the number of chunks of a package of a size.
func Chunks(size int64) int64 { return (size + ChunkSize - 1) / ChunkSize }

// Chunk returns the payload of one chunk of the package with a sha256.
func Chunk(sha string, data []byte) ([]byte, error) {
	whole, err := hex.DecodeString(sha)
	if err != nil || len(whole) != sha256.Size {
		return nil, fmt.Errorf("invalid sha256 %q", sha)
	}
	own := sha256.Sum256(data)
	return append(append(whole, own[:]...), data...), nil
}

// ErrStranger is the error of a chunk of another package.
var ErrStranger = errors.New("chunk of another package")

// ParseChunk checks the payload of chunk n of a package and returns its data, a slice
// of payload.
func ParseChunk(payload []byte, sha string, size, n int64) ([]byte, error) {
	if len(payload) < chunkHead {
		return nil, fmt.Errorf("chunk %d has %d bytes: want %d of hashes and the data", n, len(payload), chunkHead)
	}
	if hex.EncodeToString(payload[:sha256.Size]) != sha {
		return nil, ErrStranger
	}
	data := payload[chunkHead:]
	if n < 0 || n >= Chunks(size) {
		return nil, fmt.Errorf("chunk %d is out of bounds: the package has %d", n, Chunks(size))
	}
	if want := min(ChunkSize, size-n*ChunkSize); int64(len(data)) != want {
		return nil, fmt.Errorf("chunk %d has %d bytes of data, want %d", n, len(data), want)
	}
	if own := sha256.Sum256(data); !bytes.Equal(own[:], payload[sha256.Size:chunkHead]) {
		return nil, fmt.Errorf("chunk %d is damaged", n)
	}
	return data, nil
}

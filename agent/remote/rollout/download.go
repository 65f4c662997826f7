package rollout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/modelpackage"
	"meltwatch/retry"
)

// incoming is the file of the partly received package; the file incoming.part.sha256
// identifies the package.
const incoming = "incoming.part"

// download is a package that is being received.
type download struct {
	desired message.ModelDesired
	file    *os.File
	next    int64 // the first chunk that is not in the file
	chunks  int64
	held    map[int64][]byte // chunks beyond next, at most modelpackage.Ahead
}

// obtain obtains a package and rolls it out.
func (m *Manager) obtain(ctx context.Context, d message.ModelDesired) {
	if m.intact(modelOf(d)) == nil {
		m.run(ctx, d, modelOf(d)) // it is on disk already
		return
	}
	if err := os.MkdirAll(m.settings.Folder, 0o750); err != nil {
		m.reject(ctx, modelOf(d), "paths.state", err)
		return
	}
	if d.URL != "" {
		m.fetchURL(ctx, d)
		return
	}
	if err := m.expect(d); err != nil {
		m.reject(ctx, modelOf(d), "paths.state", err)
		return
	}
	m.publish(modelOf(d), message.Receiving, nil)
	m.complete(ctx)
}

// expect opens the file for a package's chunks, and continues an earlier transfer of
// the same package.
func (m *Manager) expect(d message.ModelDesired) error {
	name := filepath.Join(m.settings.Folder, incoming)
	if was, err := os.ReadFile(name + ".sha256"); err != nil || string(was) != d.SHA256 {
		if err := errors.Join(os.WriteFile(name, nil, 0o640), os.WriteFile(name+".sha256", []byte(d.SHA256), 0o640)); err != nil {
			return fmt.Errorf("receive package: %w", err)
		}
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("receive package: %w", err)
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return errors.Join(fmt.Errorf("receive package: %w", err), file.Close())
	}
	a := &download{desired: d, file: file, chunks: modelpackage.Chunks(d.Size), held: map[int64][]byte{}}
	a.next = min(size/modelpackage.ChunkSize, a.chunks)
	if size >= d.Size {
		a.next = a.chunks
	}
	m.download = a
	return nil
}

// receive handles a chunk.
func (m *Manager) receive(ctx context.Context, c chunk) {
	a := m.download
	if a == nil || c.number < a.next || c.number >= a.next+modelpackage.Ahead {
		return
	}
	data, err := modelpackage.ParseChunk(c.payload, a.desired.SHA256, a.desired.Size, c.number)
	if err != nil {
		if !errors.Is(err, modelpackage.ErrStranger) {
			m.settings.Log.Debug("chunk refused", "err", err)
		}
		return
	}
	a.held[c.number] = data
	for ; a.held[a.next] != nil; a.next++ {
		if _, err := a.file.WriteAt(a.held[a.next], a.next*modelpackage.ChunkSize); err != nil {
			m.closeDownload()
			m.reject(ctx, modelOf(a.desired), "paths.state", fmt.Errorf("receive package: %w", err))
			return
		}
		delete(a.held, a.next)
	}
	m.publish(modelOf(a.desired), message.Receiving, nil)
	m.complete(ctx)
}

// complete rolls a package out once all of it has arrived.
func (m *Manager) complete(ctx context.Context) {
	a := m.download
	if a.next < a.chunks {
		return
	}
	m.closeDownload()
	m.unpack(ctx, a.desired)
}

func (m *Manager) closeDownload() {
	if m.download == nil {
		return
	}
	if err := m.download.file.Close(); err != nil {
		m.settings.Log.Warn("package file not closed", "err", err)
	}
	m.download = nil
}

// unpack checks a complete package, stores its model beside the others, and rolls it
// out.
func (m *Manager) unpack(ctx context.Context, d message.ModelDesired) {
	m.publish(modelOf(d), message.Checking, nil)
	name := filepath.Join(m.settings.Folder, incoming)
	beside := filepath.Join(m.settings.Folder, d.SHA256+".new")
	stop := retry.Every(ctx, beat, m.beat) // the watchdog sees progress during a bounded wait
	err := m.unpackInto(beside, name, d)
	stop()
	err = errors.Join(err, os.RemoveAll(name), os.RemoveAll(name+".sha256"))
	if err == nil {
		// An existing folder of this name is damaged; otherwise the package would not
		// have been requested.
		err = errors.Join(os.RemoveAll(m.folder(modelOf(d))), os.Rename(beside, m.folder(modelOf(d))), m.settings.Files.SyncFolder("."))
	}
	if err != nil {
		err = errors.Join(err, os.RemoveAll(beside))
		m.reject(ctx, modelOf(d), "package", err)
		return
	}
	m.run(ctx, d, modelOf(d))
}

func (m *Manager) unpackInto(folder, name string, d message.ModelDesired) error {
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o750)); err != nil {
		return err
	}
	_, err := modelpackage.Open(name, folder, d.SignedPackage)
	return err
}

package rollout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"meltwatch/agent/message"
)

const (
	// fetchTimeout bounds a download, stallTimeout the time without a byte.
	fetchTimeout = 10 * time.Minute
	stallTimeout = 30 * time.Second
	// cancelWait is how long a cancelled download may take to end.
	cancelWait = time.Second
)

var (
	errSlow    = fmt.Errorf("the package has not arrived within %s", fetchTimeout)
	errStalled = fmt.Errorf("no byte has arrived for %s", stallTimeout)
)

// fetchURL downloads a package from its URL.
func (m *Manager) fetchURL(ctx context.Context, d message.ModelDesired) {
	m.publish(modelOf(d), message.Receiving, nil)
	mark := filepath.Join(m.settings.Folder, incoming+".sha256")
	err := os.RemoveAll(mark) // the package there is about to change
	if err == nil {
		err = m.await(ctx, d)
	}
	if err == nil {
		err = os.WriteFile(mark, []byte(d.SHA256), 0o640)
	}
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errSuperseded):
		m.publish(modelOf(d), message.Rejected, nil, message.Fault{Key: "revision", Message: err.Error()})
	case err != nil:
		m.reject(ctx, modelOf(d), "url", err)
	default:
		m.unpack(ctx, d)
	}
}

// await waits for a download until ctx ends, the download times out, or a newer
// document arrives. A read that never returns, for example from a removed disk, is
// abandoned; it does not write any more.
func (m *Manager) await(ctx context.Context, d message.ModelDesired) error {
	bounded, cancel := context.WithTimeoutCause(ctx, fetchTimeout, errSlow)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- m.copyURL(bounded, d) }()
	tick := time.NewTicker(observe)
	defer tick.Stop()
	for {
		m.beat()
		select {
		case err := <-done:
			return err
		case <-tick.C:
			if !m.superseded(modelOf(d)) {
				continue
			}
		case <-bounded.Done():
		}
		break
	}
	err := context.Cause(bounded)
	if err == nil {
		err = errSuperseded
	}
	cancel()
	late := time.NewTimer(cancelWait)
	defer late.Stop()
	select {
	case <-done: //nolint:errcheck // it was cancelled
	case <-late.C:
	}
	return err
}

// copyURL copies a package to the disk. It reads at most one byte more than the signed
// size.
func (m *Manager) copyURL(ctx context.Context, d message.ModelDesired) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	defer stall.Stop()
	body, err := m.openURL(ctx, d.URL)
	if err != nil {
		return causeOf(ctx, err)
	}
	defer body.Close()
	if err := ctx.Err(); err != nil {
		return causeOf(ctx, err)
	}
	file, err := os.Create(filepath.Join(m.settings.Folder, incoming))
	if err != nil {
		return fmt.Errorf("receive package: %w", err)
	}
	n, err := io.Copy(file, io.LimitReader(reader{ctx, body, stall}, d.Size+1))
	err = errors.Join(causeOf(ctx, err), file.Close())
	if err == nil && n != d.Size {
		err = fmt.Errorf("the file differs from the signed size of %d bytes", d.Size)
	}
	return err
}

// causeOf returns the cause of ctx's end if a read failed because of it.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// reader ends with its context and resets the stall timer at each read.
type reader struct {
	ctx   context.Context //nolint:containedctx // io.Reader takes no context
	body  io.Reader
	stall *time.Timer
}

// Read reads until the context ends.
func (r reader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx) // late data is not written
	}
	if n > 0 {
		r.stall.Reset(stallTimeout)
	}
	return n, err
}

func (m *Manager) openURL(ctx context.Context, address string) (io.ReadCloser, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("is an invalid URL")
	}
	if u.Scheme == "file" {
		return openFile(u.Path)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := m.settings.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("the server answers %s", response.Status)
	}
	return response.Body, nil
}

// openFile opens regular files only: opening a FIFO waits for its writer, and opening a
// device may have side effects.
func openFile(path string) (io.ReadCloser, error) {
	info, err := os.Lstat(path)
	if err == nil {
		err = regular(path, info)
	}
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	// The file may have been replaced meanwhile.
	if info, err = file.Stat(); err == nil {
		err = regular(path, info)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func regular(path string, info os.FileInfo) error {
	switch mode := info.Mode(); {
	case mode&os.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link: give the target instead", path)
	case !mode.IsRegular():
		return fmt.Errorf("%s is not a regular file: give the package itself", path)
	}
	return nil
}

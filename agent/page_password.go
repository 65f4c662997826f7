package agent

import (
	"time"

	"meltwatch/agent/settings"
	"meltwatch/config"
)

// passwordReader reads the hash of the page's password. One read is under way at a time: of
// a disk that hangs, neither the page nor a change of the configuration waits for longer than
// passwordAnswers, and no reads pile up.
type passwordReader struct {
	turn chan struct{}
	from func(config.Web) ([]byte, error)
}

// passwordAnswers is how long the disk may take.
const passwordAnswers = 4 * time.Second

func newPasswordReader() passwordReader {
	return passwordReader{make(chan struct{}, 1), settings.PagePassword}
}

func (p passwordReader) read(c config.Web) (hash []byte, err error) {
	if c.PasswordFile == "" {
		return nil, nil
	}
	timeout := time.NewTimer(passwordAnswers)
	defer timeout.Stop()
	select {
	case p.turn <- struct{}{}:
	case <-timeout.C:
		return nil, errPasswordHangs
	}
	type result struct {
		hash []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		hash, err := p.from(c)
		read <- result{hash, err}
		<-p.turn
	}()
	select {
	case r := <-read:
		return r.hash, r.err
	case <-timeout.C:
		return nil, errPasswordHangs
	}
}

var errPasswordHangs = config.KeyErrorf("web.password_file", "the disk does not answer: check the disk; nobody can log in until it answers")

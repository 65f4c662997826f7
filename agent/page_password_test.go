package agent

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/config"
)

// While the disk of the page's password hangs, who reads it is told so in time, and no reads
// pile up. The password counts again once the disk answers.
func TestHangingDiskOfThePassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config.Web{PasswordFile: "/etc/meltwatch/page.hash"}
		let, reads := make(chan struct{}), atomic.Int32{}
		p := newPasswordReader()
		p.from = func(config.Web) ([]byte, error) { reads.Add(1); <-let; return []byte("hash"), nil }
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				began := time.Now()
				hash, err := p.read(c)
				if !errors.Is(err, errPasswordHangs) || hash != nil || time.Since(began) > passwordAnswers {
					t.Errorf("%s, %v after %s", hash, err, time.Since(began))
				}
			})
		}
		all.Wait()
		if n := reads.Load(); n != 1 {
			t.Errorf("%d reads are under way", n)
		}
		close(let)
		synctest.Wait()
		if hash, err := p.read(c); string(hash) != "hash" || err != nil {
			t.Errorf("afterwards: %s, %v", hash, err)
		}
	})
}

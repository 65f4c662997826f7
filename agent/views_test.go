package agent

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// However many ask, the camera's child makes two pictures a second of each kind, and each
// who asks gets a new one.
func TestViewersShareThePicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int64
		s := newSharedViews(func(evidence bool) ([]byte, error) {
			time.Sleep(100 * time.Millisecond)
			if made.Add(1)%5 == 0 {
				return nil, errors.New("the camera child does not run")
			}
			if evidence {
				return []byte("drawn"), nil
			}
			return []byte("plain"), nil
		})
		began := time.Now()
		var viewers sync.WaitGroup
		for n := range 100 {
			viewers.Go(func() {
				for time.Since(began) < 10*time.Second {
					jpeg, err := s.view(t.Context(), n%2 == 0)
					if err == nil && bytes.Equal(jpeg, []byte("drawn")) != (n%2 == 0) {
						t.Errorf("viewer %d got %q", n, jpeg)
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
		viewers.Wait()
		if n := made.Load(); n < 20 || n > 42 {
			t.Errorf("%d pictures in 10 s", n)
		}
	})
}

package serve

import (
	"testing"
	"time"
)

func TestSmoke(t *testing.T) {
	s, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(s.MeterURL(), s.CameraURL())
	time.Sleep(20 * time.Second)
	t.Log(s.Truth())
	t.Log(s.Close())
}

package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"meltwatch/simulator/furnace"
)

// Control is the side channel for the scorer of an agent, never for the agent:
//
//	GET  /truth                            the true state as JSON
//	POST /fault?meter=late&camera=frozen   starts faults; either may be missing
func (s *Server) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /truth", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		// The only possible error is a client that has gone.
		_ = json.NewEncoder(w).Encode(s.Truth())
	})
	mux.HandleFunc("POST /fault", func(w http.ResponseWriter, r *http.Request) {
		if err := s.switchFaults(r.URL.Query()); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// ServeControl serves Control on a listener. The returned function ends it and waits.
func (s *Server) ServeControl(listener net.Listener) (end func()) {
	side := &http.Server{Handler: s.Control(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- side.Serve(listener) }()
	return func() {
		_ = side.Close()
		<-ended //nolint:errcheck // it was told to end
	}
}

// switchFaults applies a query. An invalid query changes nothing.
func (s *Server) switchFaults(query url.Values) error {
	for key, values := range query {
		if key != "meter" && key != "camera" || len(values) != 1 {
			return fmt.Errorf("fault: %q: give meter=, camera= or both, once each", key)
		}
	}
	if len(query) == 0 {
		return errors.New("fault: give meter= or camera=")
	}
	var faults []error
	if query.Has("meter") {
		faults = append(faults, known("meter", MeterFault(query.Get("meter")), MeterFaults()))
	}
	if query.Has("camera") {
		faults = append(faults, known("camera", CameraFault(query.Get("camera")), CameraFaults()))
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if query.Has("meter") {
		faults = append(faults, s.SetMeterFault(MeterFault(query.Get("meter"))))
	}
	if query.Has("camera") {
		faults = append(faults, s.SetCameraFault(CameraFault(query.Get("camera"))))
	}
	return errors.Join(faults...)
}

// MarshalJSON writes times in seconds, and onset as null while no episode runs.
func (t Truth) MarshalJSON() ([]byte, error) {
	var onset *float64
	if t.Episode > 0 {
		onset = &t.Onset
	}
	return json.Marshal(struct {
		State         furnace.Name  `json:"state"`
		Severity      float64       `json:"severity"`
		Label         furnace.Label `json:"label"`
		Onset         *float64      `json:"onset_s"`
		Episode       int           `json:"episode"`
		Kind          furnace.Kind  `json:"kind"`
		NearNormal    bool          `json:"near_normal"`
		Hidden        bool          `json:"hidden"`
		Start         time.Time     `json:"start"`
		Elapsed       float64       `json:"elapsed_s"`
		VideoDelay    float64       `json:"video_delay_s"`
		CurrentDelay  float64       `json:"current_delay_s"`
		MeterFault    MeterFault    `json:"meter_fault"`
		CameraFault   CameraFault   `json:"camera_fault"`
		SkippedFrames uint64        `json:"skipped_frames"`
	}{
		t.State, t.Severity, t.Label, onset, t.Episode, t.Kind, t.NearNormal, t.Hidden,
		t.Start, t.Elapsed.Seconds(), t.VideoDelay.Seconds(), t.CurrentDelay.Seconds(),
		t.MeterFault, t.CameraFault, t.SkippedFrames,
	})
}

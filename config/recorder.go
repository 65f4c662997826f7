package config

import "time"

// Alarm is what goes out with an alarm.
type Alarm struct {
	// Snapshot publishes the picture, with the evidence drawn, when an alarm is raised.
	Snapshot bool `yaml:"snapshot"`
}

// Recorder keeps what was measured and decided on disk, below paths.recordings. 1 MB is
// 10⁶ bytes.
type Recorder struct {
	// Enabled is false if nothing may be recorded.
	Enabled bool `yaml:"enabled"`
	// TotalMB bounds the recording: the oldest goes first, what is around alarms,
	// faults and marks last.
	TotalMB int `yaml:"total_mb"`
	// Age is when an ordinary stretch is removed even if there is room.
	Age time.Duration `yaml:"age"`
	// MinFreeMB is what stays free on the disk for others.
	MinFreeMB int `yaml:"min_free_mb"`
	// ViewWidth is the width of the whole picture in pixels; its height follows.
	ViewWidth int `yaml:"view_width"`
}

func (r Recorder) check(f report) {
	f.between("total_mb", float64(r.TotalMB), 200, 10_000_000)
	f.duration("age", r.Age, time.Hour, 3650*day)
	f.between("min_free_mb", float64(r.MinFreeMB), 0, 10_000_000)
	f.between("view_width", float64(r.ViewWidth), 64, 1920)
}

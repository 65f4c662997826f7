package settings

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"meltwatch/agent/outbox"
	"meltwatch/agent/recorder"
	"meltwatch/agent/web"
	"meltwatch/config"
	"meltwatch/config/credential"
	"meltwatch/drivers"
	"meltwatch/inference"
)

// Programs returns the folder of the children's programs: the configured one, or the
// folder of the running program, or ../lib/meltwatch from there, where a package puts
// them.
func Programs(configured string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the folder of the programs: %w; set paths.programs", err)
	}
	return programsNear(filepath.Dir(self)), nil
}

func programsNear(folder string) string {
	packaged := filepath.Join(folder, "..", "lib", "meltwatch")
	for _, candidate := range []string{folder, packaged} {
		if _, err := os.Stat(filepath.Join(candidate, "meltwatch-infer")); err == nil {
			return candidate
		}
	}
	return folder // the start of a child reports what is missing there
}

// Camera returns the settings of the camera child. It reads the files of the secrets.
// With an error, the agent does not start.
func Camera(all config.Config, video inference.VideoSpec) (drivers.CameraSettings, error) {
	c := all.Camera
	secrets := map[string]string{"password_file": c.PasswordFile, "ca_file": c.CAFile}
	for key, file := range secrets {
		if file == "" {
			continue
		}
		var err error
		if secrets[key], err = credential.Read(file); err != nil {
			return drivers.CameraSettings{}, config.KeyErrorf("camera."+key, "%w", err)
		}
	}
	settings := drivers.CameraSettings{
		URL: c.URL, Username: c.Username, Password: secrets["password_file"], Timeout: c.Timeout,
		Logins: filepath.Join(all.Paths.State, "camera-logins.json"), Authorities: secrets["ca_file"], Transport: c.Transport, Decode: c.Decode,
		Crop:  drivers.Rect(c.Crop),
		Width: video.Width, Height: video.Height, Resize: video.Resize,
		StaleAfter: c.StaleAfter, FrozenAfter: c.FrozenAfter, BlackAfter: c.BlackAfter,
	}
	return settings, settings.Check()
}

// megabyte is the unit of bounds, in bytes.
const megabyte = 1_000_000

// OutboxFolder is the folder of the outbox on disk.
func OutboxFolder(c config.Config) string { return filepath.Join(c.Paths.State, "outbox") }

// Outbox returns the settings of the outbox.
func Outbox(c config.Config) outbox.Settings {
	o := c.Outbox
	return outbox.Settings{
		Bytes:         int64(o.TotalMB) * megabyte,
		Event:         outbox.Retention{Bytes: int64(o.EventMB) * megabyte, Age: o.EventAge},
		State:         outbox.Retention{Bytes: int64(o.StateMB) * megabyte, Age: o.StateAge},
		Current:       outbox.Retention{Bytes: int64(o.CurrentMB) * megabyte, Age: o.CurrentAge},
		MemoryRecords: c.MQTT.Queue,
	}
}

// RecordingsFolder is the folder of the recorder.
func RecordingsFolder(c config.Config) string {
	return cmp.Or(c.Paths.Recordings, filepath.Join(c.Paths.State, "recordings"))
}

// Recorder returns the bounds of the recorder.
func Recorder(c config.Config) recorder.Settings {
	r := c.Recorder
	return recorder.Settings{MaxBytes: int64(r.TotalMB) * megabyte, MaxAge: r.Age, MinFree: int64(r.MinFreeMB) * megabyte}
}

// PagePassword returns the hash of the page's password, nil if nobody may log in.
func PagePassword(c config.Web) ([]byte, error) {
	if c.PasswordFile == "" {
		return nil, nil
	}
	text, err := credential.Read(c.PasswordFile)
	if err == nil {
		err = web.CheckHash([]byte(text))
	}
	if err != nil {
		return nil, config.KeyErrorf("web.password_file", "%w", err)
	}
	return []byte(text), nil
}

// LogLevel returns the configured log level.
func LogLevel(c config.Log) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return slog.LevelInfo // cannot happen: the configuration was checked
	}
	return level
}

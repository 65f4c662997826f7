package agent

import (
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/rollout"
	"meltwatch/config"
)

// modelsLimit is the limit of the roll-out's loop, which waits for a child's end and
// for a disk.
const modelsLimit = 45 * time.Second

// openModels returns the roll-out manager and the folder of the model that decides at
// start.
func openModels(c config.Config, env Env, report func(message.ModelReport)) (*rollout.Manager, string) {
	folder := filepath.Join(c.Paths.State, "models")
	return rollout.Open(rollout.Settings{
		Folder: folder, Own: c.Model.Path, Files: env.Files(folder), KernelBoot: env.KernelBoot,
		Report: report, HTTP: downloadClient(), Log: env.Log.With("part", "models"),
	})
}

// downloadClient returns the client that downloads packages. It does not decompress,
// and it bounds the wait for the header.
func downloadClient() *http.Client {
	return &http.Client{CheckRedirect: onlyHTTPS, Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		IdleConnTimeout:        time.Minute,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}}
}

// onlyHTTPS refuses a redirection away from HTTPS.
func onlyHTTPS(request *http.Request, via []*http.Request) error {
	if request.URL.Scheme != "https" || len(via) > 5 {
		return http.ErrUseLastResponse
	}
	return nil
}

type limitsSection struct {
	remote config.Remote
	trust  config.Trust
}

func modelSection(c config.Config) any { return limitsSection{c.Remote, c.Trust} }

func (a *Agent) buildLimits(models *rollout.Manager) func(config.Config) (*instance, error) {
	const megabyte = 1_000_000
	return func(c config.Config) (*instance, error) {
		limits := rollout.Limits{
			Enabled: c.Remote.Model, Keys: c.Trust.ModelKeys, Latency: c.Remote.ModelLatency,
			Package: int64(c.Remote.ModelMB) * megabyte, Memory: int64(c.Remote.ModelMemoryMB) * megabyte,
		}
		return &instance{activate: func() { models.Adopt(limits) }, missing: worksAtOnce}, nil
	}
}

// receiveChunk takes a chunk's number from its topic; a topic without a valid number is
// ignored.
func receiveChunk(models *rollout.Manager) func(string, []byte) {
	return func(topic string, payload []byte) {
		number, err := strconv.ParseInt(topic[strings.LastIndex(topic, "/")+1:], 10, 64)
		if err == nil {
			models.Chunk(number, payload)
		}
	}
}

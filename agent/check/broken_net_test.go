package check

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"

	"meltwatch/drivers/drivertest"
	"meltwatch/drivers/rtsp/rtsptest"
	"meltwatch/simulator/broker"
	"meltwatch/simulator/broker/mosquittotest"
)

// selfSigned is drivertest.SelfSigned with the authority in a file.
func selfSigned(t *testing.T, host string, until time.Time) (tls.Certificate, string) {
	t.Helper()
	certificate, authority := drivertest.SelfSigned(t, host, until)
	file := filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, authority)
	return certificate, file
}

// brokerWith starts a broker in this process.
func brokerWith(t *testing.T, config *tls.Config, hooks ...mochi.Hook) (address string) {
	t.Helper()
	address = unusedAddress(t)
	server, err := broker.Serve(listeners.NewTCP(listeners.Config{ID: "test", Address: address, TLSConfig: config}), hooks...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return address
}

// encryptedBroker is a broker with a certificate; file returns the authority that the
// box trusts.
func encryptedBroker(host string, until time.Duration, more string) func(*testing.T, plant, *box) {
	return func(t *testing.T, _ plant, b *box) {
		certificate, file := selfSigned(t, host, time.Now().Add(until))
		config := &tls.Config{Certificates: []tls.Certificate{certificate}}
		_, other := selfSigned(t, host, time.Now().Add(time.Hour))
		if strings.Contains(more, "MUTUAL") {
			config.ClientAuth = tls.RequireAnyClientCert
		}
		trusts := map[string]string{"": "", "RIGHT": ", ca_file: " + file, "WRONG": ", ca_file: " + other, "MUTUAL": ", ca_file: " + file}[more]
		b.mqtt = "broker: " + quoted("ssl://"+brokerWith(t, config)) + trusts
	}
}

// aclBroker is a broker in this process with an access list.
func aclBroker(filters auth.Filters) func(*testing.T, plant, *box) {
	return func(t *testing.T, _ plant, b *box) {
		hook := new(auth.Hook)
		ledger := &auth.Ledger{Auth: auth.AuthRules{{Allow: true}}, ACL: auth.ACLRules{{Filters: filters}}}
		address := unusedAddress(t)
		server := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
		if err := server.AddHook(hook, &auth.Options{Ledger: ledger}); err != nil {
			t.Fatal(err)
		}
		if err := server.AddListener(listeners.NewTCP(listeners.Config{ID: "test", Address: address})); err != nil {
			t.Fatal(err)
		}
		if err := server.Serve(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		b.mqtt = "broker: " + quoted("tcp://"+address)
	}
}

func badBrokers() []broken {
	toMosquitto := func(list string) func(*testing.T, plant, *box) {
		return func(t *testing.T, _ plant, b *box) {
			file := filepath.Join(t.TempDir(), "acl")
			write(t, file, list)
			b.mqtt = "broker: " + quoted("tcp://"+mosquittotest.Start(t, "", "allow_anonymous true\nacl_file "+file+"\n"))
		}
	}
	listening := func(serve func(net.Conn)) func(*testing.T, plant, *box) {
		return func(t *testing.T, _ plant, b *box) { b.mqtt = "broker: " + quoted(drivertest.Serve(t, serve)) }
	}
	const topic = "meltwatch/plant-1/f07/health"
	return []broken{
		{"port closed", func(t *testing.T, _ plant, b *box) { b.mqtt = "broker: " + quoted("tcp://"+unusedAddress(t)) }, "broker", "mqtt.broker", []string{"connection refused", "correct host and port"}},
		{"host unknown", func(_ *testing.T, _ plant, b *box) { b.mqtt = `broker: "tcp://broker.invalid:1883"` }, "broker", "mqtt.broker", []string{"broker.invalid", "correct the host's name"}},
		{"wrong password", func(t *testing.T, _ plant, b *box) {
			folder := t.TempDir()
			if said, err := exec.Command("mosquitto_passwd", "-b", "-c", filepath.Join(folder, "users"), "f07", "right").CombinedOutput(); err != nil {
				t.Skipf("mosquitto is not installed: %v: %s", err, said)
			}
			write(t, filepath.Join(folder, "password"), "wrong\n")
			address := mosquittotest.Start(t, "", "allow_anonymous false\npassword_file "+filepath.Join(folder, "users")+"\n")
			b.mqtt = "username: f07, password_file: " + filepath.Join(folder, "password") + ", broker: " + quoted("tcp://"+address)
		}, "broker", "mqtt.broker", []string{"not Authorized", "mqtt.password_file"}},
		{"password file missing", func(_ *testing.T, p plant, b *box) { b.mqtt += ", username: f07, password_file: /nonexistent/password" }, "broker", "mqtt.password_file", []string{"no such file", "create the file"}},
		{"credential without systemd", func(t *testing.T, p plant, b *box) {
			t.Setenv("CREDENTIALS_DIRECTORY", "")
			b.mqtt += ", username: f07, password_file: mqtt"
		}, "broker", "mqtt.password_file", []string{"LoadCredential=mqtt:… in the unit", "systemd-run --pipe --wait -p LoadCredential=mqtt:FILE meltwatch check"}},
		{"a broker without its name among the authorities", encryptedBroker("127.0.0.1", time.Hour, ""), "broker", "mqtt.broker", []string{"unknown authority", "set ca_file"}},
		{"wrong authority", encryptedBroker("127.0.0.1", time.Hour, "WRONG"), "broker", "mqtt.broker", []string{"certificate", "set ca_file"}},
		{"certificate expired", encryptedBroker("127.0.0.1", -time.Hour, "RIGHT"), "broker", "mqtt.broker", []string{"expired", "renew the server's certificate"}},
		{"certificate of another host", encryptedBroker("elsewhere", time.Hour, "RIGHT"), "broker", "mqtt.broker", []string{"use a host name"}},
		{"broker wants a certificate", encryptedBroker("127.0.0.1", time.Hour, "MUTUAL"), "broker", "mqtt.broker", []string{"certificate required", "cert_file"}},
		{"authority file without a certificate", func(t *testing.T, _ plant, b *box) {
			encryptedBroker("127.0.0.1", time.Hour, "RIGHT")(t, plant{}, b)
			file := filepath.Join(t.TempDir(), "empty.pem")
			write(t, file, "")
			b.mqtt = b.mqtt[:strings.Index(b.mqtt, ", ca_file")] + ", ca_file: " + file
		}, "broker", "mqtt.ca_file", []string{"PEM"}},
		{"mosquitto denies writing", toMosquitto("topic read #\n"), "broker", "mqtt.broker", []string{"denies publishing on " + topic, "access list"}},
		{"mosquitto denies reading", toMosquitto("topic write #\n"), "broker", "mqtt.broker", []string{"takes messages on " + topic, "let this user read it"}},
		{"may not subscribe", aclBroker(auth.Filters{"#": auth.WriteOnly}), "broker", "mqtt.broker", []string{"subscribe to " + topic, "let this user read it", "access list"}},
		{"may not publish", aclBroker(auth.Filters{"#": auth.ReadOnly}), "broker", "mqtt.broker", []string{topic, "write", "access list"}},
		{"closes every connection", listening(func(c net.Conn) { c.Close() }), "broker", "mqtt.broker", []string{"scheme and port"}},
		{"another service", listening(func(c net.Conn) {
			_, _ = c.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
			time.Sleep(time.Second)
			c.Close()
		}), "broker", "mqtt.broker", []string{"scheme and port"}},
		{"a document from afar names another broker", stored(func(local string) string {
			return fmt.Sprintf(`{"good": {"revision": 7, "local": %q, "patch": {"mqtt": {"broker": "tcp://127.0.0.1:1"}}}}`, local)
		}), "broker", "mqtt.broker", []string{"tcp://127.0.0.1:1:", "connection refused"}},
		{"one of two brokers away", func(t *testing.T, p plant, b *box) {
			b.mqtt = "brokers: {near: {url: " + quoted(p.broker) + "}, far: {url: " + quoted("tcp://"+unusedAddress(t)) + "}}"
		}, "broker", "mqtt.brokers.far.url", []string{"connection refused"}},
	}
}

func badMeters() []broken {
	reads := func(registers []uint16, rewrite drivertest.Rewrite) func(*testing.T, plant, *box) {
		return func(t *testing.T, _ plant, b *box) { b.meter = quoted(drivertest.Registers(t, registers, rewrite)) }
	}
	at := func(url string) func(*testing.T, plant, *box) {
		return func(_ *testing.T, _ plant, b *box) { b.meter = quoted(url) }
	}
	refuses := func(code byte) drivertest.Rewrite {
		return func(request, _ []byte) []byte { return append(request[:4:4], 0, 3, 1, request[7]|0x80, code) }
	}
	return []broken{
		{"port closed", func(t *testing.T, _ plant, b *box) { b.meter = quoted("tcp://" + unusedAddress(t)) }, "meters", "meters.main", []string{"connection refused", "correct host and port"}},
		{"host unknown", at("tcp://meter.invalid:502"), "meters", "meters.main", []string{"meter.invalid", "correct the host's name"}},
		{"serial line missing", at("rtu:///dev/ttyMELT9"), "meters", "meters.main", []string{"/dev/ttyMELT9", "create the file, or correct its name"}},
		{"wrong unit", reads(soundRegisters(), onlyUnit(2)), "meters", "meters.main", []string{"gateway"}},
		{"answers as another unit", reads(soundRegisters(), func(_, right []byte) []byte { right[6] = 9; return right }), "meters", "meters.main", []string{"unit id 9", "set unit"}},
		{"register missing", reads(soundRegisters(), refuses(2)), "meters", "meters.main", []string{"illegal data address"}},
		{"function not supported", reads(soundRegisters(), refuses(1)), "meters", "meters.main", []string{"illegal function"}},
		{"silent", reads(soundRegisters(), func(_, _ []byte) []byte { return nil }), "meters", "meters.main", []string{"no answer within 80ms"}},
		{"words swapped", reads(swapped(soundRegisters()), nil), "meters", "meters.main", []string{"order: CDAB"}},
		{"counted from 1", func(t *testing.T, _ plant, b *box) {
			b.meter = quoted(drivertest.Registers(t, soundRegisters(), nil))
			b.fields = "current_a: {address: 1}, current_b: {address: 3}, current_c: {address: 5}"
			b.state = "normal_current: 15000"
		}, "meters", "meters.main", []string{"meters.main.base: 1"}},
		{"kiloamperes", reads(floats(0, 15.012, 14.89, 15.1, 15), nil), "meters", "meters.main.fields", []string{"set the scale"}},
		{"a phase not available", func(t *testing.T, _ plant, b *box) {
			b.meter = quoted(drivertest.Registers(t, []uint16{15_012, 0x8000, 15_100}, nil))
			b.fields = "current_a: {address: 0, type: int16}, current_b: {address: 1, type: int16}, current_c: {address: 2, type: int16}"
			b.state = "normal_current: 15000"
		}, "meters", "meters.main", []string{"not available"}},
	}
}

func badCameras() []broken {
	scripted := func(c func() *rtsptest.Scripted, more string) func(*testing.T, plant, *box) {
		return func(t *testing.T, _ plant, b *box) {
			camera := c()
			if strings.Contains(more, "TLS") {
				certificate, _ := selfSigned(t, "127.0.0.1", time.Now().Add(time.Hour))
				camera.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
			}
			camera.Serve(t)
			b.camera = "url: " + quoted(camera.URL()) + strings.TrimPrefix(more, "TLS")
		}
	}
	at := func(section string) func(*testing.T, plant, *box) {
		return func(_ *testing.T, _ plant, b *box) { b.camera = section }
	}
	asks := func() *rtsptest.Scripted {
		return &rtsptest.Scripted{SDP: describedVideo, User: "viewer", Password: "right", Schemes: []string{"MD5"}}
	}
	return []broken{
		{"port closed", func(t *testing.T, _ plant, b *box) { b.camera = "url: " + quoted("rtsp://"+unusedAddress(t)+"/x") }, "camera", "camera.url", []string{"refuses connections", "correct the address or the port"}},
		{"host unknown", at(`url: "rtsp://camera.invalid/x"`), "camera", "camera.url", []string{"camera.invalid", "correct the host's name"}},
		{"path unknown", scripted(func() *rtsptest.Scripted { return &rtsptest.Scripted{Answer: refusing(base.StatusNotFound)} }, ""), "camera", "camera.url", []string{"404"}},
		{"log-in missing", scripted(asks, ""), "camera", "camera.username", []string{"asks for a log-in (401)"}},
		{"wrong password", func(t *testing.T, p plant, b *box) {
			file := filepath.Join(t.TempDir(), "password")
			write(t, file, "wrong\n")
			scripted(asks, ", username: viewer, password_file: "+file)(t, p, b)
		}, "camera", "camera.username, camera.password_file", []string{"refused the log-in (401)"}},
		{"password file missing", at(`url: "rtsp://127.0.0.1:1/x", username: a, password_file: /nonexistent/secret`), "camera", "camera.password_file", []string{"no such file", "create the file"}},
		{"credential without systemd", func(t *testing.T, p plant, b *box) {
			t.Setenv("CREDENTIALS_DIRECTORY", "")
			at(`url: "rtsp://127.0.0.1:1/x", username: a, password_file: camera`)(t, p, b)
		}, "camera", "camera.password_file", []string{"systemd-run --pipe --wait -p LoadCredential=camera:FILE meltwatch check"}},
		{"no viewer more", scripted(func() *rtsptest.Scripted { return &rtsptest.Scripted{Answer: refusing(base.StatusNotEnoughBandwidth)} }, ""), "camera", "camera.url", []string{"453"}},
		{"transport refused", scripted(func() *rtsptest.Scripted { return &rtsptest.Scripted{SDP: describedVideo, UDP: true} }, ", transport: tcp"), "camera", "camera.transport", []string{"461", "set udp or auto"}},
		{"certificate unknown", scripted(func() *rtsptest.Scripted { return &rtsptest.Scripted{SDP: describedVideo} }, "TLS"), "camera", "camera.ca_file", []string{"certificate"}},
		{"crop outside the picture", func(t *testing.T, _ plant, b *box) {
			camera := &rtsptest.Scripted{}
			camera.Serve(t)
			camera.SDP = rtsptest.Stream(t.Context(), t, camera.Send, rtsptest.H264("640x360", "10", 5)...)
			b.camera = "url: " + quoted(camera.URL()) + ", crop: {x: 1000, y: 0, width: 200, height: 200}"
		}, "camera", "camera.crop", []string{"640×360"}},
	}
}

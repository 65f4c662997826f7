package fleet

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
	"meltwatch/simulator/broker/mosquittotest"
)

const boxTemplate = `{site: {{.site}}, furnace: {{.furnace}}, meters: {plc: {url: "{{.meter}}", fields: {
current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}},
camera: {enabled: false}, mqtt: {broker: "tcp://127.0.0.1:1883", username: {{.site}}-{{.furnace}}, password_file: mqtt}}
`

// provision fills a template in from a list, into a folder.
func provision(t *testing.T, out, form, list string) (string, error) {
	t.Helper()
	folder := t.TempDir()
	formFile, listFile := filepath.Join(folder, "box.yaml"), filepath.Join(folder, "boxes.yaml")
	for path, text := range map[string]string{formFile: form, listFile: list} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said output
	err := Provision(&said, formFile, listFile, out)
	return said.String(), err
}

const twoBoxes = `boxes:
  - {site: plant-1, furnace: f1, meter: "tcp://192.0.2.1:502"}
  - {site: plant-1, furnace: f2, meter: "tcp://192.0.2.2:502"}
`

func TestProvisionMakesWhatABoxNeeds(t *testing.T) {
	out := filepath.Join(t.TempDir(), "boxes")
	if said, err := provision(t, out, boxTemplate, twoBoxes); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	passwords := map[string]bool{}
	for _, name := range []string{"plant-1-f1", "plant-1-f2"} {
		c, err := config.Read(filepath.Join(out, name, "meltwatch.yaml"))
		if err != nil || c.MQTT.Username != name || c.Meters["plc"].URL != "tcp://192.0.2."+name[len(name)-1:]+":502" {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		password, err := os.ReadFile(filepath.Join(out, name, "mqtt.password"))
		if err != nil || len(password) < 32 {
			t.Errorf("%s: a password of %d bytes, %v", name, len(password), err)
		}
		passwords[string(password)] = true
		for _, secret := range []string{"mqtt.password", "box.key"} {
			if info, err := os.Stat(filepath.Join(out, name, secret)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s/%s: %v", name, secret, err)
			}
		}
		verifyCertificate(t, out, name)
	}
	if len(passwords) != 2 {
		t.Error("two boxes have one password")
	}
	// A second run keeps what is there.
	said, err := provision(t, out, boxTemplate, twoBoxes+`  - {site: plant-1, furnace: f3, meter: "tcp://192.0.2.3:502"}`)
	if err != nil || strings.Count(said, "kept unchanged") != 2 {
		t.Errorf("%v\n%s", err, said)
	}
	for was := range passwords {
		found := false
		for _, name := range []string{"plant-1-f1", "plant-1-f2"} {
			now, err := os.ReadFile(filepath.Join(out, name, "mqtt.password"))
			found = found || err == nil && string(now) == was
		}
		if !found {
			t.Error("a password was written over")
		}
	}
}

func verifyCertificate(t *testing.T, out, name string) {
	t.Helper()
	read := func(path string) *x509.Certificate {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	roots := x509.NewCertPool()
	roots.AddCert(read(filepath.Join(out, "ca.pem")))
	cert := read(filepath.Join(out, name, "box.pem"))
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil || cert.Subject.CommonName != name {
		t.Errorf("%s: certificate of %s, %v", name, cert.Subject.CommonName, err)
	}
}

func TestBadListsAreRefusedBeforeAnythingIsWritten(t *testing.T) {
	for name, c := range map[string][3]string{
		"one identity twice":        {boxTemplate, twoBoxes + `  - {site: plant-1, furnace: f1, meter: "tcp://192.0.2.3:502"}`, "identity as boxes[0]"},
		"two that make one user":    {boxTemplate, `boxes: [{site: a-b, furnace: c, meter: "tcp://h:1"}, {site: a, furnace: b-c, meter: "tcp://h:1"}]`, "identity as boxes[0]"},
		"no furnace":                {boxTemplate, `boxes: [{site: a, meter: "tcp://h:1"}]`, "site or furnace is missing"},
		"no box":                    {boxTemplate, `boxes: []`, "boxes is missing or empty"},
		"another key":               {boxTemplate, `furnaces: []`, "furnaces"},
		"a value that is missing":   {boxTemplate, `boxes: [{site: a, furnace: b}]`, "meter"},
		"a value that is wrong":     {boxTemplate, `boxes: [{site: a, furnace: b, meter: "udp://h:1"}]`, "meters.plc.url"},
		"a name with a slash":       {boxTemplate, `boxes: [{site: a/b, furnace: c, meter: "tcp://h:1"}]`, "site"},
		"a template without a name": {strings.Replace(boxTemplate, "{{.furnace}},", "other,", 1), twoBoxes, "furnace: {{.furnace}}"},
		"no template":               {"{{", twoBoxes, "template"},
		"no user at the broker":     {strings.Replace(boxTemplate, "username: {{.site}}-{{.furnace}}, password_file: mqtt", "", 1), twoBoxes, "mqtt.username"},
		"another user":              {strings.Replace(boxTemplate, "username: {{.site}}-{{.furnace}}", "username: box", 1), twoBoxes, "mqtt.username"},
		"no password":               {strings.Replace(boxTemplate, "password_file: mqtt", "", 1), twoBoxes, "mqtt.password_file"},
	} {
		out := filepath.Join(t.TempDir(), "boxes")
		if _, err := provision(t, out, c[0], c[1]); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s: %v, want %s", name, err, c[2])
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: something was written", name)
		}
	}
}

// Mosquitto with the files that provision writes: each box speaks and hears on
// its own topics and on no others.
// The access list allows a box every topic that is read of it, and the desk to clear each.
func TestAccessListNamesEachTopicOfABox(t *testing.T) {
	out := filepath.Join(t.TempDir(), "boxes")
	if said, err := provision(t, out, boxTemplate, twoBoxes); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	text, err := os.ReadFile(filepath.Join(out, "mosquitto.acl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topicsOf {
		lines := []string{"topic write meltwatch/+/+/" + topic, "topic write meltwatch/plant-1/f1/" + topic}
		if topic == message.TopicConfigDesired || topic == message.TopicModelDesired {
			lines = lines[:1] // the desk's own
		}
		for _, line := range lines {
			if !strings.Contains(string(text), line+"\n") {
				t.Errorf("lacks %q", line)
			}
		}
	}
}

func TestAccessListKeepsBoxesApart(t *testing.T) {
	mosquittotest.Program(t)
	// Not t.TempDir: mosquitto drops root for its own user, who must get in.
	folder, err := os.MkdirTemp("", "meltwatch-acl-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	out := filepath.Join(folder, "boxes")
	if said, err := provision(t, out, boxTemplate, twoBoxes); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	conf := filepath.Join(folder, "mosquitto.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous false\npassword_file %s\nacl_file %s\n",
		port, filepath.Join(out, "mosquitto.passwd"), filepath.Join(out, "mosquitto.acl"))
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{folder: 0o755, out: 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	mosquittotest.Run(t, conf)
	as := func(box string) []string {
		password, err := os.ReadFile(filepath.Join(out, "plant-1-"+box, "mqtt.password"))
		if err != nil {
			t.Fatal(err)
		}
		return []string{"-h", "127.0.0.1", "-p", strconv.Itoa(port), "-u", "plant-1-" + box, "-P", strings.TrimSpace(string(password)), "-q", "1"}
	}
	publish := func(box, topic string) error {
		return exec.Command("mosquitto_pub", append(as(box), "-r", "-t", "meltwatch/plant-1/"+topic, "-m", "from "+box)...).Run()
	}
	hears := func(box, topic string) bool {
		err := exec.Command("mosquitto_sub", append(as(box), "-t", "meltwatch/plant-1/"+topic, "-C", "1", "-W", "2")...).Run()
		return err == nil
	}
	for deadline := time.Now().Add(10 * time.Second); publish("f1", "f1/health") != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the box cannot speak: mosquitto does not take its password")
		}
	}
	if !hears("f1", "f1/health") {
		t.Error("a box does not hear its own health")
	}
	// The broker takes what it then throws away: only who listens can tell.
	for _, topic := range []string{"f2/health", "f2/config/desired", "f1/config/desired", "f1/command", "f2/command"} {
		if err := publish("f1", topic); err != nil {
			t.Logf("%s: %v", topic, err)
		}
	}
	for _, topic := range []string{"f2/health", "f2/config/desired", "f2/command"} {
		if hears("f2", topic) {
			t.Errorf("f1 could speak on %s", topic)
		}
	}
	if hears("f1", "f1/config/desired") {
		t.Error("a box can tell itself what to be")
	}
	if err := publish("f2", "f2/health"); err != nil {
		t.Fatal(err)
	}
	if hears("f1", "f2/health") {
		t.Error("f1 hears another box")
	}
	if err := publish("f2", "f2/availability"); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{"reader", "cannot be cleared: the broker's access list"}, {"desk", ""}} {
		user, want := c[0], c[1]
		var said output
		fleet := Fleet{Broker{URL: fmt.Sprintf("tcp://127.0.0.1:%d", port), Username: user, PasswordFile: filepath.Join(out, user+".password"), Wait: 10 * time.Second}, &said}
		err := fleet.Forget(t.Context(), "plant-1/f2", false, false, nil)
		if (err == nil) != (want == "") || !strings.Contains(said.String(), want) {
			t.Errorf("forget as %s: %v\n%s", user, err, said.String())
		}
		if user == "desk" && hears("f2", "f2/health") {
			t.Error("desk forgot a box, and its health is still there")
		}
	}
	stranger := exec.Command("mosquitto_sub", "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-u", "plant-1-f1", "-P", "guess", "-t", "#", "-C", "1", "-W", "2")
	if stranger.Run() == nil {
		t.Error("a guess at the password got in")
	}
}

// A second provisioning, of new boxes alone, keeps who is known to the broker: desk
// and reader, users added by hand, and the boxes of before.
func TestProvisioningAgainKeepsTheBrokersUsers(t *testing.T) {
	out := filepath.Join(t.TempDir(), "boxes")
	if said, err := provision(t, out, boxTemplate, twoBoxes); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	passwords, access := filepath.Join(out, "mosquitto.passwd"), filepath.Join(out, "mosquitto.acl")
	edit := func(path string, change func(string) string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(change(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	edit(passwords, func(text string) string {
		if !strings.Contains(text, "desk:") || !strings.Contains(text, "reader:") {
			t.Errorf("desk and reader have no password:\n%s", text)
		}
		return strings.Replace(text, "desk:", "desk:$7$101$by$hand\nformer:", 1) + "historian:$7$101$of$hand\n"
	})
	edit(access, func(text string) string {
		return strings.Replace(text, "user reader\n", "user reader\ntopic read plant/#\n", 1) + "\nuser historian\ntopic read meltwatch/+/+/history/#\n"
	})
	third := `boxes: [{site: plant-1, furnace: f3, meter: "tcp://192.0.2.3:502"}]`
	for range 2 { // the second changes nothing
		if said, err := provision(t, out, boxTemplate, third); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	for path, want := range map[string][]string{
		passwords: {"desk:$7$101$by$hand\n", "historian:$7$101$of$hand\n", "reader:", "plant-1-f1:", "plant-1-f2:", "plant-1-f3:"},
		access: {
			"user desk\n", "user reader\ntopic read plant/#\n", "user historian\ntopic read meltwatch/+/+/history/#\n", "user plant-1-f1\n",
			"topic write meltwatch/plant-1/f3/state\n",
		},
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range want {
			if strings.Count(string(text), one) != 1 {
				t.Errorf("%s holds %q %d times:\n%s", filepath.Base(path), one, strings.Count(string(text), one), text)
			}
		}
	}
}

// The service runs as a user of its own, and so does mosquitto: both must be able to
// read what is theirs, and nobody the secrets.
func TestProvisionedFilesCanBeReadByWhoNeedsThem(t *testing.T) {
	out := filepath.Join(t.TempDir(), "boxes")
	if said, err := provision(t, out, boxTemplate, twoBoxes); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for name, want := range map[string]os.FileMode{
		"plant-1-f1/meltwatch.yaml": 0o644, "plant-1-f1/credentials.conf": 0o644, "plant-1-f1/mqtt.password": 0o600,
		"plant-1-f1/box.key": 0o600, "mosquitto.acl": 0o644, "desk.password": 0o600, "reader.password": 0o600, "ca.key": 0o600,
	} {
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	info, err := os.Stat(filepath.Join(out, "mosquitto.passwd"))
	if err != nil {
		t.Fatal(err)
	}
	readable := info.Mode().Perm() == 0o644
	if group, err := user.LookupGroup("mosquitto"); err == nil && info.Mode().Perm() == 0o640 {
		readable = fmt.Sprint(info.Sys().(*syscall.Stat_t).Gid) == group.Gid
	}
	if !readable {
		t.Errorf("mosquitto.passwd has mode %v", info.Mode())
	}
}

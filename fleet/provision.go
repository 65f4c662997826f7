package fleet

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"text/template"

	"go.yaml.in/yaml/v3"

	"meltwatch/agent/remote/modelpackage"
	"meltwatch/config"
)

// Provision writes, for each box of a list, a folder with its configuration, its
// password at the broker, its own key and certificate; and, for all of them,
// mosquitto's password and access files and the authority that signs the
// certificates. It overwrites nothing: an existing folder stays unchanged, and
// mosquitto's files keep their users.
//
// formFile is a file with a configuration in which {{.site}}, {{.furnace}}, {{.user}}
// (the box at the broker) and any other member of the list are filled in, listFile a YAML
// file with boxes, a list of {site, furnace, …}.
func Provision(out io.Writer, formFile, listFile, folder string) error {
	boxes, err := readBoxes(listFile)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(formFile)
	if err != nil {
		return err
	}
	form, err := template.New(filepath.Base(formFile)).Option("missingkey=error").Parse(string(text))
	if err != nil {
		return fmt.Errorf("template: %w", err)
	}
	// Every document is checked before the first file is written.
	documents := make([][]byte, len(boxes))
	var problems []error
	for i, b := range boxes {
		if documents[i], err = b.document(form); err != nil {
			problems = append(problems, fmt.Errorf("box %s: %w", b.name(), err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	ca, err := openAuthority(folder)
	if err != nil {
		return err
	}
	for i, b := range boxes {
		if err := b.write(out, ca, filepath.Join(folder, b.user()), documents[i]); err != nil {
			return fmt.Errorf("box %s: %w", b.name(), err)
		}
	}
	return writeMosquitto(folder, boxes)
}

// box is one line of the list: names and values for the template.
type box map[string]any

func (b box) name() string { return fmt.Sprintf("%v/%v", b["site"], b["furnace"]) }

// user is the box's name at the broker and of its folder.
func (b box) user() string { return fmt.Sprintf("%v-%v", b["site"], b["furnace"]) }

func readBoxes(path string) ([]box, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list struct {
		Boxes []box `yaml:"boxes"`
	}
	in := yaml.NewDecoder(bytes.NewReader(text))
	in.KnownFields(true)
	if err := in.Decode(&list); err != nil {
		return nil, fmt.Errorf("list %s: %w", path, err)
	}
	if len(list.Boxes) == 0 {
		return nil, fmt.Errorf("list %s: boxes is missing or empty: give a list of {site, furnace, …}", path)
	}
	users := map[string]int{}
	var problems []error
	for i, b := range list.Boxes {
		if b["site"] == nil || b["furnace"] == nil {
			problems = append(problems, fmt.Errorf("boxes[%d]: site or furnace is missing", i))
			continue
		}
		// The broker would disconnect one of two boxes with the same identity. Site a with
		// furnace b-c makes the same user as site a-b with furnace c.
		if other, taken := users[b.user()]; taken {
			problems = append(problems, fmt.Errorf("boxes[%d]: %s has the same identity as boxes[%d]: give it another furnace name", i, b.name(), other))
		}
		users[b.user()] = i
	}
	return list.Boxes, errors.Join(problems...)
}

// document fills in the template and checks the result.
func (b box) document(form *template.Template) ([]byte, error) {
	var text bytes.Buffer
	values := maps.Clone(map[string]any(b))
	values["user"] = b.user()
	if err := form.Execute(&text, values); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	c, err := config.Parse(text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("invalid configuration from the template:\n%w", err)
	}
	if c.Site != fmt.Sprint(b["site"]) || c.Furnace != fmt.Sprint(b["furnace"]) {
		return nil, errors.New("the template must hold site: {{.site}} and furnace: {{.furnace}}")
	}
	return text.Bytes(), b.checkBroker(c.MQTT)
}

// checkBroker requires the box to log in as its user in mosquitto's files, by
// password or by certificate.
func (b box) checkBroker(m config.MQTT) error {
	switch {
	case m.CertFile != "" && m.Username == "":
		return nil
	case m.Username != b.user():
		return fmt.Errorf("mqtt.username is %q, but the broker will know the box as %q: write username: {{.user}} into the template", m.Username, b.user())
	case m.PasswordFile == "":
		return errors.New("mqtt.password_file is missing: write password_file: mqtt into the template, the credential of credentials.conf")
	}
	return nil
}

// credentials is a drop-in for the unit: the service runs as a user of its own, who
// cannot read root's files.
const credentials = `# /etc/systemd/system/meltwatch.service.d/credentials.conf
[Service]
LoadCredential=mqtt:/etc/meltwatch/mqtt.password
LoadCredential=box.pem:/etc/meltwatch/box.pem
LoadCredential=box.key:/etc/meltwatch/box.key
`

// secretBytes is the length of a password before base64.
const secretBytes = 24

func (b box) write(out io.Writer, ca authority, folder string, document []byte) error {
	err := os.Mkdir(folder, 0o750)
	if errors.Is(err, fs.ErrExist) {
		printLine(out, "%s: %s exists, kept unchanged", b.name(), folder)
		return nil
	}
	if err != nil {
		return err
	}
	password, err := newPassword()
	if err != nil {
		return err
	}
	keyFile := filepath.Join(folder, "box.key")
	if _, err := modelpackage.NewKey(keyFile); err != nil {
		return err
	}
	key, err := modelpackage.ReadKey(keyFile)
	if err != nil {
		return err
	}
	if err := writeCertificate(filepath.Join(folder, "box.pem"), ca, b.user(), key); err != nil {
		return err
	}
	for _, file := range []struct {
		name, text string
		mode       os.FileMode
	}{
		// The service's user must read the configuration, which holds no secret.
		{"meltwatch.yaml", string(document), 0o644},
		{"credentials.conf", credentials, 0o644},
		{"mqtt.password", password + "\n", 0o600},
	} {
		if err := writeMode(filepath.Join(folder, file.name), file.text, file.mode); err != nil {
			return err
		}
	}
	printLine(out, "%s: %s", b.name(), folder)
	return nil
}

// newPassword returns a password that cannot be guessed, so its hash may be public.
func newPassword() (string, error) {
	secret := make([]byte, secretBytes)
	if _, err := rand.Read(secret); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(secret), nil
}

// writeMode writes a file with exactly this mode; os.WriteFile applies the umask.
func writeMode(path, text string, mode os.FileMode) error {
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

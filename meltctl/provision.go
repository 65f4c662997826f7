package main

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"

	"meltwatch/agent/remote/pack"
	"meltwatch/config"
)

// provisionCommand makes, for each box of a list, a folder with its
// configuration, its password at the broker, its own key and certificate; and,
// for all of them, mosquitto's password and access files and the authority that
// vouches for the certificates. It writes over nothing: a box
// that has a folder keeps what is in it.
type provisionCommand struct {
	Template string `required:"" type:"existingfile" help:"Configuration with {{.site}}, {{.furnace}} and any other member of the list, as {{.name}}."`
	List     string `required:"" type:"existingfile" help:"YAML: boxes, a list of {site, furnace, …}."`
	Out      string `required:"" help:"Folder to write to."`
}

// Run makes the files.
func (c provisionCommand) Run(o outside) error {
	boxes, err := readBoxes(c.List)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(c.Template)
	if err != nil {
		return err
	}
	form, err := template.New(filepath.Base(c.Template)).Option("missingkey=error").Parse(string(text))
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
	vouches, err := openAuthority(c.Out)
	if err != nil {
		return err
	}
	for i, b := range boxes {
		if err := b.write(o, vouches, filepath.Join(c.Out, b.user()), documents[i]); err != nil {
			return fmt.Errorf("box %s: %w", b.name(), err)
		}
	}
	return writeBroker(c.Out, boxes)
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
		return nil, fmt.Errorf("list %s: names no box: give boxes, a list of {site, furnace, …}", path)
	}
	users := map[string]int{}
	var problems []error
	for i, b := range list.Boxes {
		if b["site"] == nil || b["furnace"] == nil {
			problems = append(problems, fmt.Errorf("boxes[%d]: site or furnace is missing", i))
			continue
		}
		// Two boxes with one identity would throw each other off the broker; a and
		// b-c make the same user as a-b and c.
		if other, taken := users[b.user()]; taken {
			problems = append(problems, fmt.Errorf("boxes[%d]: %s would have the identity of boxes[%d]: give it another furnace name", i, b.name(), other))
		}
		users[b.user()] = i
	}
	return list.Boxes, errors.Join(problems...)
}

// document fills the template in and checks what comes out.
func (b box) document(form *template.Template) ([]byte, error) {
	var text bytes.Buffer
	if err := form.Execute(&text, map[string]any(b)); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	c, err := config.Parse(text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("the template gives no valid configuration:\n%w", err)
	}
	if c.Site != fmt.Sprint(b["site"]) || c.Furnace != fmt.Sprint(b["furnace"]) {
		return nil, errors.New("the template must hold site: {{.site}} and furnace: {{.furnace}}")
	}
	return text.Bytes(), nil
}

// secretBytes is the length of a password before it is written in base64.
const secretBytes = 24

func (b box) write(o outside, vouches authority, folder string, document []byte) error {
	err := os.Mkdir(folder, 0o750)
	if errors.Is(err, fs.ErrExist) {
		say(o.out, "%s: %s is there, kept as it is", b.name(), folder)
		return nil
	}
	if err != nil {
		return err
	}
	secret := make([]byte, secretBytes)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	keyFile := filepath.Join(folder, "box.key")
	if _, err := pack.NewKey(keyFile); err != nil {
		return err
	}
	key, err := pack.ReadKey(keyFile)
	if err != nil {
		return err
	}
	if err := writeCertificate(filepath.Join(folder, "box.pem"), vouches, b.user(), key); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"meltwatch.yaml": string(document),
		"mqtt.password":  base64.RawURLEncoding.EncodeToString(secret) + "\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	say(o.out, "%s: %s", b.name(), folder)
	return nil
}

// writeBroker writes mosquitto's files, anew each time from the boxes' folders.
func writeBroker(out string, boxes []box) error {
	var passwords, access strings.Builder
	access.WriteString(deskAccess)
	for _, b := range boxes {
		secret, err := os.ReadFile(filepath.Join(out, b.user(), "mqtt.password"))
		if err != nil {
			return err
		}
		line, err := mosquittoPassword(b.user(), strings.TrimSpace(string(secret)))
		if err != nil {
			return err
		}
		passwords.WriteString(line)
		access.WriteString(b.access())
	}
	return errors.Join(
		os.WriteFile(filepath.Join(out, "mosquitto.passwd"), []byte(passwords.String()), 0o600),
		os.WriteFile(filepath.Join(out, "mosquitto.acl"), []byte(access.String()), 0o644),
	)
}

// deskAccess is who may look after all boxes, and who may only look.
const deskAccess = `# Written by meltctl provision. The users desk and reader get their passwords by
# hand: mosquitto_passwd mosquitto.passwd desk
user desk
topic read meltwatch/#
topic write meltwatch/+/+/config/desired
topic write meltwatch/+/+/model/desired
topic write meltwatch/+/+/model/chunk/+
topic write meltwatch/+/+/command

user reader
topic read meltwatch/#
`

// The topics of a box, below its own root.
var (
	boxWrites = []string{"availability", "state", "current", "event", "snapshot", "health", "history/#", "config/reported", "model/reported", "command/result"}
	boxReads  = []string{"config/desired", "model/desired", "model/chunk/+", "command", "health"}
)

// access lets a box speak and hear on its own topics and on no others.
func (b box) access() string {
	var text strings.Builder
	fmt.Fprintf(&text, "\nuser %s\n", b.user())
	for _, topic := range boxWrites {
		fmt.Fprintf(&text, "topic write meltwatch/%s/%s\n", b.name(), topic)
	}
	for _, topic := range boxReads {
		fmt.Fprintf(&text, "topic read meltwatch/%s/%s\n", b.name(), topic)
	}
	return text.String()
}

// mosquittoPassword is a line of mosquitto's password file: PBKDF2 with SHA-512,
// as mosquitto_passwd of version 2 writes it.
func mosquittoPassword(user, password string) (string, error) {
	const iterations, length = 101, 64
	salt := make([]byte, 12)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	hash, err := pbkdf2.Key(sha512.New, password, salt, iterations, length)
	if err != nil {
		return "", err
	}
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s:$7$%d$%s$%s\n", user, iterations, encode(salt), encode(hash)), nil
}

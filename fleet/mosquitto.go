package fleet

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"meltwatch/agent/message"
)

// users are the users besides the boxes, with their rights: desk manages all boxes,
// reader only reads.
var users = []struct {
	name   string
	access []string
}{
	{"desk", []string{
		"read meltwatch/#",
		"write " + message.Root("+", "+") + message.TopicConfigDesired,
		"write " + message.Root("+", "+") + message.TopicModelDesired,
		"write " + message.Root("+", "+") + message.TopicModelChunk,
		"write " + message.Root("+", "+") + message.TopicCommand,
		// Forget clears what a box has retained.
		"write " + message.Root("+", "+") + message.TopicAvailability,
		"write " + message.Root("+", "+") + message.TopicState,
		"write " + message.Root("+", "+") + message.TopicAlarm,
		"write " + message.Root("+", "+") + message.TopicSuspicion,
		"write " + message.Root("+", "+") + message.TopicHealth,
		"write " + message.Root("+", "+") + message.TopicConfigReported,
		"write " + message.Root("+", "+") + message.TopicModelReported,
	}},
	{"reader", []string{"read meltwatch/#"}},
}

// The topics of a box, below its own root.
var (
	boxWrites = []string{
		message.TopicAvailability, message.TopicState, message.TopicCurrent, message.TopicEvent, message.TopicSnapshot,
		message.TopicAlarm, message.TopicSuspicion, message.TopicHealth, message.TopicHistory + "#", message.TopicConfigReported, message.TopicModelReported, message.TopicCommandResult,
	}
	boxReads = []string{
		message.TopicConfigDesired, message.TopicModelDesired, message.TopicModelChunk, message.TopicCommand,
		message.TopicHealth, message.TopicAvailability,
	}
)

// access lets a box publish and subscribe only below its own topics.
func (b box) access() []string {
	var topics []string
	for _, topic := range boxWrites {
		topics = append(topics, "write "+rootOf(b.name())+topic)
	}
	for _, topic := range boxReads {
		topics = append(topics, "read "+rootOf(b.name())+topic)
	}
	return topics
}

// writeMosquitto adds the boxes, desk and reader to mosquitto's password and access
// files, and creates the passwords of desk and reader. Existing users stay unchanged,
// but a box of the list receives the rights that a box has in this version.
func writeMosquitto(out string, boxes []box) error {
	passwords, err := readLines(filepath.Join(out, "mosquitto.passwd"))
	if err != nil {
		return err
	}
	access, err := readLines(filepath.Join(out, "mosquitto.acl"))
	if err != nil {
		return err
	}
	if len(access) == 0 {
		access = []string{"# Written by meltctl provision, which keeps the users that it does not know."}
	}
	for _, p := range users {
		if !hasUser(access, p.name) {
			access = withUser(access, p.name, p.access)
		}
		if passwords, err = withPassword(passwords, p.name, filepath.Join(out, p.name+".password")); err != nil {
			return err
		}
	}
	for _, b := range boxes {
		access = withUser(access, b.user(), b.access())
		if passwords, err = withPassword(passwords, b.user(), filepath.Join(out, b.user(), "mqtt.password")); err != nil {
			return err
		}
	}
	return errors.Join(
		writeForMosquitto(filepath.Join(out, "mosquitto.passwd"), passwords),
		writeMode(filepath.Join(out, "mosquitto.acl"), strings.Join(access, "\n")+"\n", 0o644),
	)
}

func readLines(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || len(text) == 0 && err == nil {
		return nil, nil
	}
	return strings.Split(strings.TrimRight(string(text), "\n"), "\n"), err
}

// section returns the half-open range of a user's lines in an access file.
func section(lines []string, name string) (from, to int, ok bool) {
	from = slices.IndexFunc(lines, func(line string) bool { return slices.Equal(strings.Fields(line), []string{"user", name}) })
	if from < 0 {
		return 0, 0, false
	}
	for to = from + 1; to < len(lines) && !strings.HasPrefix(lines[to], "user "); to++ {
	}
	return from, to, true
}

func hasUser(lines []string, name string) bool {
	_, _, ok := section(lines, name)
	return ok
}

// withUser replaces a user's access, or adds the user.
func withUser(lines []string, name string, access []string) []string {
	block := []string{"", "user " + name}
	for _, one := range access {
		block = append(block, "topic "+one)
	}
	from, to, ok := section(lines, name)
	if !ok {
		return append(lines, block...)
	}
	rest := slices.Clone(lines[to:])
	if len(rest) > 0 {
		block = append(block, "")
	}
	return append(append(slices.Clone(lines[:from]), block[1:]...), rest...)
}

// withPassword adds a user with the password in the file, and creates a missing file. A
// user who has a password keeps it.
func withPassword(lines []string, name, file string) ([]string, error) {
	if slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+":") }) {
		return lines, nil
	}
	secret, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		var password string
		if password, err = newPassword(); err == nil {
			secret = []byte(password + "\n")
			err = writeMode(file, string(secret), 0o600)
		}
	}
	if err != nil {
		return nil, err
	}
	line, err := mosquittoPassword(name, strings.TrimSpace(string(secret)))
	return append(lines, line), err
}

// writeForMosquitto writes a file that mosquitto's own user can read: the group
// mosquitto if this machine has it, everybody otherwise. The file holds salted hashes of
// random passwords of 192 bits, which reveal nothing.
func writeForMosquitto(path string, lines []string) error {
	if err := writeMode(path, strings.Join(lines, "\n")+"\n", 0o644); err != nil {
		return err
	}
	group, err := user.LookupGroup("mosquitto")
	if err != nil {
		return nil //nolint:nilerr // the group does not exist on this machine
	}
	id, err := strconv.Atoi(group.Gid)
	if err != nil || os.Chown(path, -1, id) != nil {
		return nil //nolint:nilerr // not permitted: the file stays readable by everybody
	}
	return os.Chmod(path, 0o640)
}

// mosquittoPassword returns a line of mosquitto's password file: PBKDF2 with SHA-512,
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
	return fmt.Sprintf("%s:$7$%d$%s$%s", user, iterations, encode(salt), encode(hash)), nil
}

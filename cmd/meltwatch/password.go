package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"meltwatch/agent/web"
)

type passwordCommand struct{}

// Help is the second part of the command's help.
func (passwordCommand) Help() string {
	return `Reads the password from standard input; on a terminal it asks for it. Only the hash is printed.

Examples:
  meltwatch password > /etc/meltwatch/page.hash`
}

const leastPassword = 8 // bytes

// Run prints the hash of a password.
func (passwordCommand) Run(o outside) error {
	text, err := readPassword(o.errOut)
	if err != nil {
		return err
	}
	const most = 72
	if len(text) < leastPassword || len(text) > most {
		return fmt.Errorf("the password has %d bytes: want %d to %d", len(text), leastPassword, most)
	}
	hash, err := web.Hash(text)
	if err != nil {
		return fmt.Errorf("hash of the password: %w", err)
	}
	_, err = fmt.Fprintf(o.out, "%s\n", hash)
	return err
}

func readPassword(prompt io.Writer) (string, error) {
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		if _, err := fmt.Fprint(prompt, "Password: "); err != nil {
			return "", err
		}
		text, err := term.ReadPassword(fd)
		_, newline := fmt.Fprintln(prompt)
		return string(text), errors.Join(err, newline)
	}
	line, err := bufio.NewReader(io.LimitReader(os.Stdin, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

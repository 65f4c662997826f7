package check

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"golang.org/x/sys/unix"

	"meltwatch/config/credential"
)

// remedy returns what to do about a fault of the network, of a certificate or of a file,
// whose error does not say it; empty for any other.
func remedy(err error) string {
	if missing, ok := errors.AsType[*credential.FolderError](err); ok {
		return fmt.Sprintf("if the unit loads it, start check with the credentials of the service, each with a -p: systemd-run --pipe --wait -p LoadCredential=%s:FILE meltwatch check", missing.Name)
	}
	for _, r := range remedies() {
		if r.fits(err) {
			return r.does
		}
	}
	return ""
}

type known struct {
	fits func(error) bool
	does string
}

func remedies() []known {
	const users = "correct mqtt.username and the password in mqtt.password_file, or the broker's own list of users"
	return []known{
		{is(unix.EADDRINUSE), "another program listens there: end it, or set another port"},
		{is(unix.EADDRNOTAVAIL), "this box does not have the address: set one of its own, such as 127.0.0.1"},
		{lowPort, "ports under 1024 are for root: set a higher one"},
		{is(unix.ECONNREFUSED), "nothing listens there: correct host and port, or start what should"},
		{as[*net.DNSError], "correct the host's name, or the name server of this box"},
		{is(unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ETIMEDOUT), "check cable, address and firewall"},
		{is(packets.ErrorRefusedBadUsernameOrPassword, packets.ErrorRefusedNotAuthorised), users},
		{as[x509.UnknownAuthorityError], "set ca_file to the PEM file of the authority that signed the server's certificate"},
		{expired, "renew the server's certificate, or set the clock of this box"},
		{as[x509.CertificateInvalidError], "replace the server's certificate"},
		{as[x509.HostnameError], "use a host name that the server's certificate holds"},
		{says("certificate required", "bad certificate"), "set cert_file and key_file to a certificate that the server accepts"},
		{is(io.EOF, unix.ECONNRESET), "the other side closed the connection: check scheme and port, and that it is not full"},
		{is(unix.ENOSPC, unix.EDQUOT), "delete files, or use a larger disk"},
		{is(unix.EIO), "the disk is failing: replace it"},
		{is(unix.EROFS), "mount the disk for writing, or repair it"},
		{is(unix.ENOTDIR), "a part of the path is a file: name another folder"},
		{is(fs.ErrPermission), "give this user the right, with chown or chmod"},
		{is(fs.ErrNotExist), "create the file, or correct its name"},
	}
}

func is(targets ...error) func(error) bool {
	return func(err error) bool {
		for _, target := range targets {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// says finds the alerts of TLS, which have no type of their own.
func says(texts ...string) func(error) bool {
	return func(err error) bool {
		return err != nil && slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), "tls: "+text) })
	}
}

func lowPort(err error) bool {
	opening, ok := errors.AsType[*net.OpError](err)
	return ok && opening.Op == "listen" && errors.Is(err, fs.ErrPermission)
}

func expired(err error) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && invalid.Reason == x509.Expired
}

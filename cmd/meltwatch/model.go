package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/modelpackage"
	"meltwatch/config"
	"meltwatch/inference"
)

// modelCommand creates, signs and checks model packages.
type modelCommand struct {
	Keygen modelKeygen `cmd:"" help:"Create a private key and print the public one, for trust.model_keys or trust.config_keys."`
	Check  modelCheck  `cmd:"" help:"Check a model folder as the agent does before it loads it."`
	Pack   modelPack   `cmd:"" help:"Pack a model folder into one file."`
	Sign   modelSign   `cmd:"" help:"Sign a package; the signature goes into PACKAGE.sig."`
	Verify modelVerify `cmd:"" help:"Check a package and its signature as a box does."`
}

type modelKeygen struct {
	Out string `arg:"" help:"File to write the private key to; it must not exist."`
}

// Run creates a key.
func (c modelKeygen) Run(o outside) error {
	public, err := modelpackage.NewKey(c.Out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(o.out, public)
	return err
}

type modelCheck struct {
	Folder string `arg:"" type:"existingdir" help:"Model folder, with manifest.json."`
}

// Run checks the manifest and the files that it names.
func (c modelCheck) Run(o outside) error {
	manifest, err := inference.CheckFolder(c.Folder)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.out, "ok: %s %s\n", manifest.Name, manifest.Version)
	return err
}

type modelPack struct {
	Folder string `arg:"" type:"existingdir" help:"Model folder, with manifest.json."`
	Out    string `arg:"" help:"Package to write."`
}

// Run checks a folder as a box does, and packs it.
func (c modelPack) Run(o outside) error {
	manifest, err := inference.CheckFolder(c.Folder)
	if err != nil {
		return err
	}
	file, err := os.Create(c.Out)
	if err != nil {
		return fmt.Errorf("write package: %w", err)
	}
	if err := errors.Join(modelpackage.Write(file, c.Folder), file.Sync(), file.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.out, "%s: %s %s\n", c.Out, manifest.Name, manifest.Version)
	return err
}

type modelSign struct {
	Package string `arg:"" type:"existingfile"`
	Key     string `required:"" type:"existingfile" help:"Private key written by keygen."`
	Name    string `required:"" help:"Name under which the boxes know the key."`
}

// Run signs a package.
func (c modelSign) Run(o outside) error {
	key, err := modelpackage.ReadKey(c.Key)
	if err != nil {
		return err
	}
	signed := message.SignedPackage{}
	if signed.SHA256, signed.Size, err = modelpackage.Sum(c.Package); err != nil {
		return err
	}
	signed.Sign(c.Name, key)
	text, err := json.MarshalIndent(signed, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.Package+".sig", append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write signature: %w", err)
	}
	_, err = fmt.Fprintf(o.out, "%s.sig: sha256 %s, %d bytes, by %s\n", c.Package, signed.SHA256, signed.Size, c.Name)
	return err
}

type modelVerify struct {
	configFlag
	Package string `arg:"" type:"existingfile"`
	Public  string `help:"Public key to check against, instead of the configuration's trust.model_keys."`
}

// Run checks the signature, the whole package, and its manifest.
func (c modelVerify) Run(o outside) error {
	signed, err := modelpackage.ReadSigned(c.Package + ".sig")
	if err != nil {
		return err
	}
	keys := map[string]string{signed.Key: c.Public}
	if c.Public == "" {
		settings, err := config.Read(c.Config)
		if err != nil {
			return err
		}
		keys = settings.Trust.ModelKeys
	}
	if err := signed.Verify(keys); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "meltwatch-model-")
	if err != nil {
		return err
	}
	manifest, err := modelpackage.Open(c.Package, folder, signed)
	if err := errors.Join(err, os.RemoveAll(folder)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.out, "ok: %s %s, sha256 %s, signed by %s\n", manifest.Name, manifest.Version, signed.SHA256, signed.Key)
	return err
}

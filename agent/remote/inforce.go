package remote

import (
	"bytes"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/commit"
	"meltwatch/config"
)

// Force is the version with which an agent would start.
type Force struct {
	Version
	Config config.Config
	// Trial tells that the version has not settled yet.
	Trial bool
	// Faults are why the file, or the document over it, is not in force as it stands.
	Faults []message.Fault
}

// InForce returns what an agent would run if it started now. It only reads; local is the
// content of the local file, which must be valid. The error is a damaged journal, which
// an agent ignores: the file itself is then in force.
func InForce(s Settings, local []byte) (Force, error) {
	own := storedVersion{Version: Version{Local: local}}
	m := &Manager{settings: s, own: own}
	m.run(own)
	journal, err := commit.Open[storedVersion](s.Files, journalFile, s.KernelBoot)
	_, known := journal.Good()
	if err != nil || !known {
		return Force{Version: own.Version, Config: m.config}, err
	}
	wanted, trial := continued(journal, local)
	f := Force{Trial: trial}
	refused, stays := staysOut(local, wanted, journal.Refusals())
	if stays {
		m.own = storedVersion{Version: Version{Local: wanted.Local}} // as in resume
	}
	switch untrusted := m.distrust(wanted); {
	case len(untrusted) > 0:
		f.Faults, wanted = untrusted, m.own
	case stays:
		f.Faults = refused.Faults
	case !bytes.Equal(wanted.Local, local):
		edited := wanted.over(local)
		if _, err := edited.config(); err != nil {
			f.Faults = faultsOf(err)
		} else {
			wanted = edited
		}
	}
	if _, err := wanted.tolerated(); err != nil {
		f.Faults = append(f.Faults, faultsOf(err)...) // run falls back to the file itself
	}
	m.run(wanted)
	f.Version, f.Config = m.version.Version, m.config
	return f, nil
}

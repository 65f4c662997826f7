"""Writes the adapted model folder, and packs and signs it with the agent's own commands."""

import pathlib
import subprocess

from ..export import release

# Written anew for each folder.
GENERATED = ("format", "signatures", "labels", "golden", "files")


def check_paths(model, out, key, key_name):
    """Raises ValueError for a folder or a key that cannot be used, before anything slow starts."""
    if pathlib.Path(out).resolve() == pathlib.Path(model).resolve():
        raise ValueError(f"{out}: is the shipped model's own folder; name another one with --out")
    if (key is None) != (key_name is None):
        raise ValueError("--key and --key-name belong together: the key's file, and the name under which the boxes know it")
    if key is not None and not pathlib.Path(key).is_file():
        raise ValueError(f"{key}: is missing; make a key with meltwatch model keygen")
    if not release.AGENT.exists():
        raise ValueError(f"{release.AGENT}: is missing, and its check must accept the model; run make build")


def sections(manifest, decision, suspect, levels, metrics, name=None, version=None):
    """The manifest's sections: those of the shipped model with what is adapted replaced."""
    kept = {k: v for k, v in manifest.items() if k not in GENERATED}
    thresholds = vars(decision) | ({"suspect": vars(suspect)} if suspect else {})
    shipped = manifest["version"].partition("+")[0]
    return kept | {"name": name or manifest["name"], "version": version or f"{shipped}+own",
                   "decision": manifest["decision"] | thresholds, "rule": manifest["rule"] | levels, "metrics": metrics}


def write(model, called, batch, out):
    """Writes the folder if the agent's check accepts it, and returns the manifest.

    A network that was trained further has no constants of familiarity, so it has no levels either.
    """
    if not model.densities:
        called = {k: v for k, v in called.items() if k != "familiarity"}
    result = {k: called[k] for k in ("decision", "rule", "metrics")}
    return release.release_checked(model, result, batch, out, called.get("commit", ""), called, release.AGENT)


def signed(out, key, name):
    """Packs and signs a model folder; returns the package's path."""
    package = pathlib.Path(f"{out}.model")
    for words in (("pack", out, package), ("sign", package, "--key", key, "--name", name)):
        run = subprocess.run([release.AGENT, "model", *map(str, words)], capture_output=True, text=True)
        if run.returncode:
            raise ValueError(f"{package}: meltwatch model {words[0]} refuses: {run.stderr.strip()}")
    return package


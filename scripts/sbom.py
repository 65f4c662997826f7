#!/usr/bin/env python3
"""Lists what a package's programs are made of, as CycloneDX 1.5, with the licences' texts.

    sbom.py --name meltwatch --version V --time SECONDS --sbom OUT.json --licences OUT.txt
            [--shipped NAME=VERSION=SPDX=PURL-TYPE=FILE[,FILE...]=LICENCE-TEXT]... [--linked "libc6 (>= 2.34), ..."] PROGRAM...

Go modules are those that `go version -m` finds in the programs; their licences are told by
the texts in the module cache, and an unknown text fails. The output depends on nothing else.
"""

import argparse
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse
import uuid

HERE = pathlib.Path(__file__).resolve().parent.parent

# What a licence's text says and no other's does; that of BSD-3-Clause also says BSD-2-Clause's.
LICENCES = (
    ("EPL-2.0", r"Eclipse Public License - v 2\.0"),
    ("Apache-2.0", r"Apache License,? Version 2\.0"),
    ("MPL-2.0", r"Mozilla Public License,? (Version|v\.?) ?2\.0"),
    ("BSD-3-Clause", r"Neither the name[s]? of .{1,160}(endorse|contributors)|names? of .{1,80}contributors may"),
    ("BSD-2-Clause", r"Redistributions in binary form must reproduce"),
    ("ISC", r"Permission to use, copy, modify, and(/or)? distribute this software"),
    ("MIT", r"Permission is hereby granted, free of charge"),
)


def licences_of(text):
    flat = " ".join(re.sub(r"^\s*(//|#|\*)", "", text, flags=re.M).split())
    found = {name for name, sign in LICENCES if re.search(sign, flat, re.I)}
    return found - {"BSD-2-Clause"} if "BSD-3-Clause" in found else found


def licence_files(folder):
    if HERE in folder.parents:  # this project's own module, below third_party/
        folder = HERE
    found = sorted(p for p in folder.iterdir() if re.match(r"(licen[cs]e|copying|notice|patents)", p.name, re.I) and p.is_file())
    return [p for p in found if not p.name.endswith((".go", ".py"))]


def modules(programs):
    """The Go toolchain and the modules in the programs, as (path, version)."""
    found = set()
    for program in programs:
        out = subprocess.run(["go", "version", "-m", program], capture_output=True, text=True, check=True).stdout
        found.add(("std", out.split("\n")[0].split(": go")[1].split()[0]))
        for line in out.splitlines():
            words = line.split()
            if words and words[0] == "dep":
                found.add((words[1], words[2]))
    return sorted(found)


def module_folders():
    out = subprocess.run(["go", "list", "-m", "-f", "{{.Path}}\t{{.Dir}}", "all"], capture_output=True, text=True, check=True).stdout
    folders = dict(line.split("\t") for line in out.splitlines() if "\t" in line)
    root = subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
    return {**folders, "std": root}


def component(name, version, licence, kind):
    purl = f"pkg:{kind}/{name}@{urllib.parse.quote(version)}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version,
            "licenses": [{"expression": licence} if " " in licence else {"license": {"id": licence}}], "purl": purl}


def go_components(programs, texts):
    folders = module_folders()
    for path, version in modules(programs):
        if not folders.get(path):
            sys.exit(f"sbom: the module {path} is not in the module cache")
        files = licence_files(pathlib.Path(folders[path]))
        read = [f.read_text(errors="replace") for f in files]
        licence = " AND ".join(sorted(set().union(*map(licences_of, read))))
        if not licence:
            sys.exit(f"sbom: {path} {version} has a licence that is not known; add it to scripts/sbom.py")
        texts.append((f"{path} {version}: {licence}", "\n\n".join(read)))
        yield component(path, version, licence, "golang")


def shipped_component(description, texts):
    name, version, licence, kind, files, text = description.split("=")
    paths = [pathlib.Path(f) for f in files.split(",") if f]
    made = component(name, version, licence, kind)
    if paths:  # a part without files is linked in statically
        made["components"] = [
            {"type": "file", "bom-ref": f"{made['purl']}#{p.name}", "name": p.name,
             "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(p.read_bytes()).hexdigest()}]} for p in paths]
    if text:
        texts.append((f"{name} {version}: {licence}", pathlib.Path(text).read_text(errors="replace")))
    return made


def linked_component(dependency):
    name, least = re.fullmatch(r"(\S+)(?: \(>= (\S+)\))?", dependency.strip()).groups()
    made = {"type": "library", "bom-ref": f"pkg:deb/debian/{name}", "name": name, "purl": f"pkg:deb/debian/{name}?distro=bookworm"}
    if least:
        made["properties"] = [{"name": "debian:at-least", "value": least}]
    return made


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--name", required=True)
    p.add_argument("--version", required=True)
    p.add_argument("--time", type=int, required=True)
    p.add_argument("--sbom", type=pathlib.Path, required=True)
    p.add_argument("--licences", type=pathlib.Path, required=True)
    p.add_argument("--shipped", action="append", default=[])
    p.add_argument("--linked", default="")
    p.add_argument("programs", nargs="+")
    a = p.parse_args()

    texts = []
    components = list(go_components(a.programs, texts))
    components += [shipped_component(s, texts) for s in a.shipped]
    components += [linked_component(d) for d in a.linked.split(",") if d.strip()]
    root = f"pkg:deb/{a.name}@{a.version}"
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, root + json.dumps(components))}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(a.time)),
            "component": {"type": "application", "bom-ref": root, "name": a.name, "version": a.version,
                          "licenses": [{"license": {"id": "Apache-2.0"}}]},
        },
        "components": components,
        "dependencies": [{"ref": root, "dependsOn": [c["bom-ref"] for c in components]}],
    }
    a.sbom.write_text(json.dumps(bom, indent=1) + "\n")
    rule = "=" * 78
    a.licences.write_text("".join(f"{rule}\n{title}\n{rule}\n\n{text.strip()}\n\n" for title, text in texts))


if __name__ == "__main__":
    main()

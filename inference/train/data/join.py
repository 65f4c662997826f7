"""Joins data sets in layout V2 into one, so that a model can be trained on several sources at once.

    python -m inference.train.join --out data/all data/plant data/simulated

Each batch's name gets its folder's name in front (plant-batch-0001). A batch stays in the
split that its folder gives it. Recordings are linked, not copied, where the file system
allows it.
"""

import argparse
import json
import os
import pathlib
import shutil

from . import layout, layout_v2

FOLDERS = ("videos", "timestamps", "currents", "labels", "truth")
SIMULATED = "dataset.json"


def share(source, target):
    """Gives a file a second name, or copies it to another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def add(source, out, prefix):
    """Links the recordings of a data set under names with a prefix."""
    for kind in FOLDERS:
        for path in sorted(p for p in (source / kind).glob("*") if p.is_file()):
            (out / kind).mkdir(exist_ok=True)
            share(path, out / kind / f"{prefix}{path.name}")


def described(source, prefix):
    """The simulator's account of each batch, with its new name; none for recordings."""
    path = source / SIMULATED
    batches = json.loads(path.read_text()).get("batches", []) if path.exists() else []
    for batch in batches:
        for named in (batch, *batch["records"]):
            named["name"] = prefix + named["name"]
    return batches


def checked(sources):
    """The folders; raises ValueError unless all are of layout V2 and their names differ."""
    sources = [pathlib.Path(s) for s in sources]
    for source in sources:
        if layout.kind(source) is not layout_v2:
            raise ValueError(f"{source}: has layout V1, which cannot be joined; write it in layout V2 (docs/own-data.md)")
    names = [s.resolve().name for s in sources]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise ValueError(f"two folders are named {', '.join(twice)}; rename one, because batches are named after their folder")
    return dict(zip(names, sources, strict=True))


def join(sources, out):
    """Writes the joined data set; its folder must not exist."""
    sources, out = checked(sources), pathlib.Path(out)
    if out.exists():
        raise ValueError(f"{out} exists; remove it, or name another folder")
    splits = {split: [f"{name}-{batch}" for name, source in sources.items() for batch in layout.names(source, split)]
              for split in layout.SPLITS}
    out.mkdir(parents=True)
    batches = []
    for name, source in sources.items():
        add(source, out, f"{name}-")
        batches += described(source, f"{name}-")
    for split, names in splits.items():
        (out / f"{split}.json").write_text(json.dumps(names, indent=1))
    # Last, as the simulator does: it tells that the set is whole.
    if batches:
        (out / SIMULATED).write_text(json.dumps({"batches": batches}, indent=1))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", metavar="DATA", help="folder of a data set in layout V2")
    parser.add_argument("--out", required=True, help="new folder for the joined data set")
    args = parser.parse_args(argv)
    join(args.sources, args.out)

"""The families of picture and of current of a data set's batches, as dataset.json names them."""

import json
import pathlib

OWN = ("scene", "arcs")  # the simulator's own picture and current, which a data set need not name


def families(folder):
    """The families of each batch: name → (picture, current)."""
    path = pathlib.Path(folder) / "dataset.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    return {b["name"]: (b.get("picture") or OWN[0], b["records"][0].get("current") or OWN[1])
            for b in known.get("batches", [])}

"""Tells one data set from another."""

import hashlib
import pathlib

from . import layout


def identity(data, names=None):
    """A digest of the names of batches, the training ones by default, and of the sizes of their files.

    Contents are not read: a data set of a week holds gigabytes.
    """
    names = sorted(layout.names(data, "train") if names is None else names)
    records = {name.split("@")[0] for name in names}
    sizes = sorted((str(p.relative_to(data)), p.stat().st_size) for p in pathlib.Path(data).rglob("*")
                   if p.is_file() and p.stem.split(".")[0] in records)
    return hashlib.sha256(repr((names, sizes)).encode()).hexdigest()[:16]

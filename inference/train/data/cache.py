"""Cache of the tokens of every second's frame, made once by the frozen tokenizers for all runs.

training/encode.py writes it: for each batch NAME.npy with the tokens and NAME.npz with the rest.
"""

import json
import os
import pathlib
from dataclasses import dataclass

import numpy as np

from . import layout


@dataclass
class Tokenized:
    """One melt without its pixels: S seconds, D features."""

    name: str
    tokens: np.ndarray  # (views,S,4,D) float16
    seen: np.ndarray  # (S,) whether the second has a frame
    currents: list  # of layout.Current
    lags: list  # seconds by which each current is stamped later than the video
    label: np.ndarray  # (S,) int8
    onset: np.ndarray  # (S,)
    hidden: np.ndarray | None = None  # as layout.Batch.hidden


def read(folder, data, split, rerolls=True, most=None):
    """The Tokenized batches of a split, or the first `most`; data: the folder that they were made from."""
    return read_names(folder, layout.names(data, split)[:most], rerolls)


def read_names(folder, names, rerolls=True):
    """The Tokenized batches of some names."""
    return [_read(pathlib.Path(folder), name, rerolls) for name in names]


def _read(folder, name, rerolls):
    if not (folder / f"{name}.npz").exists():
        raise ValueError(f"{folder}: tokens of {name} are missing, so they were made from other data; give the run a new folder, or remove this one")
    with np.load(folder / f"{name}.npz") as kept:
        count = kept["amps"].shape[0] if rerolls else 1
        currents = [layout.Current(*(kept[k][i] for k in ("amps", "mask", "set_point", "last")),
                                   blind=kept["blind"][i] if "blind" in kept else None) for i in range(count)]
        return Tokenized(name=name, tokens=np.load(folder / f"{name}.npy", mmap_mode="r"), seen=kept["seen"],
                         currents=currents, lags=list(kept["lags"][:count]), label=kept["label"], onset=kept["onset"], hidden=kept["hidden"] if "hidden" in kept else None)


def lags(data):
    """Seconds by which each record's current is stamped later than its video, by the record's name.

    Only simulated data has lags, in dataset.json, and only training uses them; a plant's own
    recordings are taken to share one clock. The rerolled currents of a batch are named
    after it, with _r1, _r2, …
    """
    path = pathlib.Path(data) / "dataset.json"
    batches = json.loads(path.read_text()).get("batches", []) if path.exists() else []
    return {r["name"]: r["current_delay_s"] - r["video_delay_s"] for b in batches for r in b["records"]}


def has(folder, name):
    """Whether the tokens of a batch are there, whole."""
    return (folder / f"{name}.npz").exists()


def write(out, batch, tokens, seen, known):
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / f"{batch.name}.npy", tokens)
    # The currents of a batch differ in length by a sample or two.
    length = min(len(c.mask) for c in batch.currents)
    stack = lambda field: np.stack([getattr(c, field)[:length] for c in batch.currents])
    names = [batch.name, *(f"{batch.name}_r{k}" for k in range(1, len(batch.currents)))]
    told = batch.hidden is not None and all(c.blind is not None for c in batch.currents)
    blind = {"hidden": batch.hidden, "blind": np.stack([c.blind for c in batch.currents])} if told else {}
    # Last and at once, because it tells that the tokens are whole.
    part = out / f"{batch.name}.part.npz"
    np.savez(part, seen=seen, label=batch.label, onset=batch.onset, **blind,
             amps=stack("amps"), mask=stack("mask"), set_point=stack("set_point"),
             last=np.stack([c.last for c in batch.currents]), lags=[known.get(n, 0.0) for n in names])
    os.replace(part, out / f"{batch.name}.npz")

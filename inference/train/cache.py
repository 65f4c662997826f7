"""Frames' tokens on disk: what the frozen tokenizers make of every second, once for all runs.

    python -m inference.train.cache --senses runs/senses --data data/train --out runs/tokens/train

Training batches are encoded several times, each time under other augmentations
(VIEWS), so that a window can be drawn in as many ways. Validation and test batches
are encoded once, as in service: the background moves on, and stands still while
the senses' own verdict is high.
"""

import argparse
import json
import pathlib
from dataclasses import dataclass, replace

import numpy as np
from keras import ops

from . import augment, background, decision, geometry, layout, stress, timeline
from .train import load, stopwatch

VIEWS = 3
SEGMENT = 20  # seconds that share one drawing of mist, passers-by, encoder
EVERY = 3  # seconds from verdict to verdict on the walk
TOGETHER = 60  # batches walked at once


@dataclass
class Tokenized:
    """One melt without its pixels: S seconds, D features."""

    name: str
    tokens: np.ndarray  # (views,S,4,D) float16
    seen: np.ndarray  # (S,) whether the second has a frame
    currents: list  # of layout.Current
    lags: list  # seconds by which each current's stamps are later than the video's
    label: np.ndarray  # (S,) int8
    onset: np.ndarray  # (S,)


def read(folder, data, split, rerolls=True, most=None):
    """The Tokenized batches of a split, or the first `most`; data is the folder they were made from."""
    return [_read(pathlib.Path(folder), name, rerolls) for name in layout.names(data, split)[:most]]


def _read(folder, name, rerolls):
    if not (folder / f"{name}.npz").exists():
        raise ValueError(f"{folder}: holds no tokens of {name}, so they were made of other data; give the run a new folder, or remove this one")
    with np.load(folder / f"{name}.npz") as kept:
        count = kept["amps"].shape[0] if rerolls else 1
        currents = [layout.Current(*(kept[k][i] for k in ("amps", "mask", "set_point", "last"))) for i in range(count)]
        return Tokenized(name=name, tokens=np.load(folder / f"{name}.npy", mmap_mode="r"), seen=kept["seen"],
                         currents=currents, lags=list(kept["lags"][:count]), label=kept["label"], onset=kept["onset"])


def lags(data):
    """Seconds by which each record's current is stamped later than its video, by the record's name.

    Known of simulated data only, from dataset.json, and used in training alone; a
    plant's own recordings count as standing on one clock. A further current of a
    batch has the batch's name with _r1, _r2, …
    """
    path = pathlib.Path(data) / "dataset.json"
    batches = json.loads(path.read_text()).get("batches", []) if path.exists() else []
    return {r["name"]: r["current_delay_s"] - r["video_delay_s"] for b in batches for r in b["records"]}


class Views:
    """Encodes training batches under augmentation."""

    def __init__(self, model):
        self.encode = timeline.Compiled(lambda frames, maps, settings: self._encode(model, frames, maps, settings))

    def _encode(self, model, frames, maps, settings):
        frames, maps = augment.pixels(frames, maps, settings)
        m, size = frames.shape[1], geometry.SIZE
        tokens, _, _ = model.frames(ops.reshape(frames, (-1, size, size, 3)),
                                    ops.reshape(maps, (-1, size, size, 1)), training=False)
        return ops.reshape(tokens, (-1, m, *tokens.shape[1:]))             # (N,20,4,D)

    def tokens(self, batch, kept, rng):
        """One view of a batch: (S,4,D) float16."""
        seconds = len(batch.label)
        count = -(-seconds // SEGMENT)
        grid = np.minimum(np.arange(count * SEGMENT), seconds - 1).reshape(count, SEGMENT)
        settings = augment.draw(rng, count, SEGMENT)
        # A camera keeps its cast through a melt.
        settings["gain"][:] = settings["gain"][:1]
        # Only the first half of what is given is softened (augment.softened).
        order = rng.permutation(count)
        frames = batch.frames[np.maximum(batch.frame_at[grid[order]], 0)]  # (N,20,64,64,3)
        maps = np.stack([background.drawn(rng, batch, kept, row) for row in grid[order]])[..., None]
        turned = slice(None, None, -1) if rng.random() < 0.5 else slice(None)
        by = rng.integers(-2, 3, 2)
        frames, maps = (np.roll(x[:, :, :, turned], by, (2, 3)) for x in (frames, maps))
        out = self.encode.predict_on_batch([frames, maps.astype(np.float32), settings])
        tokens = np.empty_like(out)
        tokens[order] = out
        return tokens.reshape(-1, *tokens.shape[2:])[:seconds].astype(np.float16)


def write_views(model, data, split, out, seed, views=VIEWS, log=print):
    """Tokens of training batches, several views each."""
    encoder, out, known = Views(model), pathlib.Path(out), lags(data)
    names = layout.names(data, split)
    for n, name in enumerate(names):
        batch = layout.read_batch(data, name)
        kept, rng = background.tracks(batch), np.random.default_rng((seed, n))
        _write(out, batch, np.stack([encoder.tokens(batch, kept, rng) for _ in range(views)]), batch.frame_at >= 0, known)
        if (n + 1) % 40 == 0:
            log(f"encoded {n + 1} of {len(names)} batches")


def write_walk(model, data, split, out, scene=None, most=None, log=print):
    """Tokens of validation or test batches as in service, a view each.

    scene: one of stress.SCENES, in which all frames are seen; most: the first batches only.
    """
    out, known = pathlib.Path(out), lags(data)
    names, runner = layout.names(data, split)[:most], timeline.Runner(model)
    for first in range(0, len(names), TOGETHER):
        batches = [layout.read_batch(data, n, rerolls=False) for n in names[first : first + TOGETHER]]
        if scene:
            batches = [replace(b, frames=stress.changed(b.frames, scene, b.name)) for b in batches]
        walk = timeline.Walk(runner, batches, decision.PROVISIONAL, EVERY)
        for second in range(walk.seconds):
            walk.advance(second)
        before = geometry.FRAMES - 1
        for row, batch in enumerate(batches):
            span = slice(before, before + len(batch.label))
            _write(out, batch, walk.tokens[row : row + 1, span].astype(np.float16), walk.seen[row, span] > 0.5, known)
        log(f"walked {first + len(batches)} of {len(names)} batches")


def _write(out, batch, tokens, seen, known):
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / f"{batch.name}.npy", tokens)
    # Rerolls of a batch have the length of its first current, within a sample or two.
    length = min(len(c.mask) for c in batch.currents)
    stack = lambda field: np.stack([getattr(c, field)[:length] for c in batch.currents])
    names = [batch.name, *(f"{batch.name}_r{k}" for k in range(1, len(batch.currents)))]
    np.savez(out / f"{batch.name}.npz", seen=seen, label=batch.label, onset=batch.onset,
             amps=stack("amps"), mask=stack("mask"), set_point=stack("set_point"),
             last=np.stack([c.last for c in batch.currents]), lags=[known.get(n, 0.0) for n in names])


def write_all(model, data, out, splits=layout.SPLITS, log=print):
    """Tokens of every split that a data set names."""
    for split in splits:
        if split == "train":
            write_views(model, data, split, out, model.config.seed, log=log)
        else:
            write_walk(model, data, split, out, log=log)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--senses", required=True, help="folder of the trained senses")
    parser.add_argument("--data", required=True, help="folder of the data set")
    parser.add_argument("--out", required=True, help="folder for the tokens")
    parser.add_argument("--splits", nargs="+", default=layout.SPLITS, choices=layout.SPLITS)
    parser.add_argument("--scenes", type=int, metavar="BATCHES",
                        help="instead, so many test batches in each scene of stress.py, into OUT-<scene>")
    args = parser.parse_args(argv)
    model, log = load(args.senses), stopwatch()
    if args.scenes:
        for scene in stress.SCENES:
            log(f"in {scene}")
            write_walk(model, args.data, "test", f"{args.out}-{scene}", scene, args.scenes, log)
    else:
        write_all(model, args.data, args.out, args.splits, log)


if __name__ == "__main__":
    main()

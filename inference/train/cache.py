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
from dataclasses import dataclass

import numpy as np
from keras import ops

from . import augment, background, decision, geometry, layout, timeline
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


def read(folder, data, split, rerolls=True):
    """The Tokenized batches of a split; data is the folder they were made from."""
    folder, known = pathlib.Path(folder), lags(data)
    return [_read(folder, data, name, rerolls, known) for name in names_of(data, split)]


def _read(folder, data, name, rerolls, known):
    tokens = np.load(folder / f"{name}.npy", mmap_mode="r")
    seconds = tokens.shape[1]
    label, onset = layout.read_labels(pathlib.Path(data) / "labels" / f"{name}.csv")
    paths = current_paths(data, name, rerolls)
    return Tokenized(name=name, tokens=tokens, seen=np.load(folder / f"{name}_seen.npy"),
                     currents=[layout.read_current(p, seconds) for p in paths],
                     lags=[known.get(p.stem, 0.0) for p in paths], label=label, onset=onset)


def current_paths(data, name, rerolls):
    folder = pathlib.Path(data) / "currents"
    paths = [folder / f"{name}.csv"]
    return paths + sorted(folder.glob(f"{name}_r*.csv")) if rerolls else paths


def names_of(data, split):
    return json.loads((pathlib.Path(data) / f"{split}.json").read_text())


def lags(data):
    """Seconds by which each record's current is stamped later than its video, by the record's name.

    Known of simulated data only, from dataset.json, and used in training alone; a
    plant's own recordings count as standing on one clock.
    """
    path = pathlib.Path(data) / "dataset.json"
    if not path.exists():
        return {}
    records = [r for b in json.loads(path.read_text())["batches"] for r in b["records"]]
    return {r["name"]: r["current_delay_s"] - r["video_delay_s"] for r in records}


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
    encoder, out = Views(model), pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    names = names_of(data, split)
    for n, name in enumerate(names):
        batch = layout.read_batch(data, name, rerolls=False)
        kept, rng = background.tracks(batch), np.random.default_rng((seed, n))
        _write(out, name, np.stack([encoder.tokens(batch, kept, rng) for _ in range(views)]), batch.frame_at >= 0)
        if (n + 1) % 40 == 0:
            log(f"encoded {n + 1} of {len(names)} batches")


def write_walk(model, data, split, out, log=print):
    """Tokens of validation or test batches as in service, a view each."""
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    names, runner = names_of(data, split), timeline.Runner(model)
    for first in range(0, len(names), TOGETHER):
        batches = [layout.read_batch(data, n, rerolls=False) for n in names[first : first + TOGETHER]]
        walk = timeline.Walk(runner, batches, decision.PROVISIONAL, EVERY)
        for second in range(walk.seconds):
            walk.advance(second)
        before = geometry.FRAMES - 1
        for row, batch in enumerate(batches):
            span = slice(before, before + len(batch.label))
            _write(out, batch.name, walk.tokens[row : row + 1, span].astype(np.float16), walk.seen[row, span] > 0.5)
        log(f"walked {first + len(batches)} of {len(names)} batches")


def _write(out, name, tokens, seen):
    np.save(out / f"{name}.npy", tokens)
    np.save(out / f"{name}_seen.npy", seen)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--senses", required=True, help="folder of the trained senses")
    parser.add_argument("--data", required=True, help="folder of the data set")
    parser.add_argument("--out", required=True, help="folder for the tokens")
    args = parser.parse_args(argv)
    log, model = stopwatch(), load(args.senses)
    for split in ("train", "val", "test"):
        if not (pathlib.Path(args.data) / f"{split}.json").exists():
            continue
        if split == "train":
            write_views(model, args.data, split, args.out, model.config.seed, log=log)
        else:
            write_walk(model, args.data, split, args.out, log=log)


if __name__ == "__main__":
    main()

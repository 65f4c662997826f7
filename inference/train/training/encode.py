"""Encodes every second's frame with the frozen tokenizers, once for all runs (data/cache.py, commands/encode.py).

Training batches are encoded several times (VIEWS), each time under other augmentations, so
that a window can be drawn in as many ways. Validation and test batches are encoded once, as
in service: the background follows the record and is frozen while the unimodal network's
verdict is high.
"""

import hashlib
import json
import pathlib
import time
from dataclasses import replace

import numpy as np
from keras import ops

from ..data import augment, background, cache, layout, scenes, window
from ..data.identity import identity
from ..models import decision
from ..models.closed_loop import ClosedLoop, Compiled, Runner
from .checkpoint import WEIGHTS, load, refuse_others
from .fit import stopwatch

VIEWS = 3
SEGMENT = 20  # seconds that share one draw of the augmentation
EVERY = 3  # seconds between verdicts in the closed loop
OF = "of.json"  # what a folder of tokens was made of
TOGETHER = 60  # batches encoded at once


class Views:
    """Encodes training batches under augmentation."""

    def __init__(self, model):
        self.space = background.SPACES[model.config.normalisation]
        self.lamp = self.space.lamp if model.config.wide else None
        self.encode = Compiled(lambda frames, maps, settings: self._encode(model, frames, maps, settings))

    def _encode(self, model, frames, maps, settings):
        frames, maps = augment.pixels(frames, maps, settings)
        m, size = frames.shape[1], window.SIZE
        out, *_ = model.frames(ops.reshape(frames, (-1, size, size, 3)),
                                    ops.reshape(maps, (-1, size, size, 1)), training=False)
        return ops.reshape(out, (-1, m, *out.shape[1:]))                   # (N,20,4,D)

    def tokens(self, batch, kept, rng):
        """One view of a batch: (S,4,D) float16."""
        seconds = len(batch.label)
        count = -(-seconds // SEGMENT)
        grid = np.minimum(np.arange(count * SEGMENT), seconds - 1).reshape(count, SEGMENT)
        settings = augment.draw(rng, count, SEGMENT, self.lamp)
        # A camera keeps its colour cast throughout a melt.
        settings["gain"][:] = settings["gain"][:1]
        # Augmentation softens the first half only (augment.softened).
        order = rng.permutation(count)
        frames = batch.frames[np.maximum(batch.frame_at[grid[order]], 0)]  # (N,20,64,64,3)
        maps = np.stack([background.drawn(rng, batch, kept, row, self.space) for row in grid[order]])[..., None]
        turned = slice(None, None, -1) if rng.random() < 0.5 else slice(None)
        by = rng.integers(-2, 3, 2)
        frames, maps = (np.roll(x[:, :, :, turned], by, (2, 3)) for x in (frames, maps))
        out = self.encode.predict_on_batch([frames, maps.astype(np.float32), settings])
        found = np.empty_like(out)
        found[order] = out
        return found.reshape(-1, *found.shape[2:])[:seconds].astype(np.float16)


def write_views(model, data, split, out, seed, views=VIEWS, most=None, log=print):
    """Writes the tokens of training batches, or of the first `most`, several views each; batches that are there are kept."""
    encoder, out, known = Views(model), pathlib.Path(out), cache.lags(data)
    names, start, made = layout.names(data, split)[:most], time.monotonic(), 0
    for n, name in enumerate(names):
        if cache.has(out, name):
            continue
        batch = layout.read_batch(data, name)
        kept, rng = background.tracks(batch, encoder.space), np.random.default_rng((seed, n))
        cache.write(out, batch, np.stack([encoder.tokens(batch, kept, rng) for _ in range(views)]), batch.frame_at >= 0, known)
        made += 1
        if (n + 1) % max(len(names) // 10, 1) == 0:
            left = (time.monotonic() - start) / made * (len(names) - n - 1)
            log(f"encoded {n + 1} of {len(names)} batches, {left:.0f} s left")


def write_streamed(model, data, split, out, scene=None, most=None, log=print):
    """Writes the tokens of validation or test batches as in service, one view each; batches that are there are kept.

    scene: one of scenes.SCENES, applied to all frames; most: the first batches only.
    """
    write_names(model, data, layout.names(data, split)[:most], out, scene, log)


def write_names(model, data, names, out, scene=None, log=print):
    """As write_streamed, for batches by their names."""
    out, known = pathlib.Path(out), cache.lags(data)
    names, runner = [n for n in names if not cache.has(out, n)], Runner(model)
    for first in range(0, len(names), TOGETHER):
        batches = [layout.read_batch(data, n, rerolls=False) for n in names[first : first + TOGETHER]]
        if scene:
            batches = [replace(b, frames=scenes.changed(b.frames, scene, b.name)) for b in batches]
        loop = ClosedLoop(runner, batches, decision.PROVISIONAL, EVERY)
        for second in range(loop.seconds):
            loop.advance(second)
        before = window.FRAMES - 1
        for row, batch in enumerate(batches):
            span = slice(before, before + len(batch.label))
            cache.write(out, batch, loop.tokens[row : row + 1, span].astype(np.float16), loop.seen[row, span] > 0.5, known)
        log(f"encoded {first + len(batches)} of {len(names)} batches")


def weights_of(run):
    """A digest of the weights of a trained run."""
    return hashlib.sha256((pathlib.Path(run) / WEIGHTS).read_bytes()).hexdigest()[:16]


def claim(out, senses, data, of=None):
    """Marks a folder as one of the tokens that a network makes of a data set; raises ValueError if it holds others.

    of: tells the batches from others; the identity of the training batches without it.
    """
    of, path = {"senses": weights_of(senses), "data": of or identity(data)}, pathlib.Path(out) / OF
    if path.exists():
        refuse_others(out, json.loads(path.read_text()), of)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(of) + "\n")


def write_all(model, data, out, splits=layout.SPLITS, log=print):
    """Writes the tokens of the given splits of a data set."""
    for split in splits:
        if split == "train":
            write_views(model, data, split, out, model.config.seed, log=log)
        else:
            write_streamed(model, data, split, out, log=log)


def encode(senses, data, out, splits, scenes_of=None, log=None):
    """Encodes splits with the network in a folder; scenes_of: instead so many test batches in each scene, into OUT-<scene>."""
    model, log = load(senses), log or stopwatch()
    if not scenes_of:
        claim(out, senses, data)
        write_all(model, data, out, splits, log)
        return
    for scene in scenes.SCENES:
        log(f"encoding scene {scene}")
        write_streamed(model, data, "test", f"{out}-{scene}", scene, scenes_of, log)

"""Runs a network along whole records as the agent does, second by second.

The loop is closed: the background stands still while the network's own
p_abnormal is high, so a spot that it misses is absorbed here as in service. All
batches advance together, one row each.
"""

from dataclasses import dataclass

import keras
import numpy as np

from . import geometry
from .tokenizers import FRAME_TOKENS
from .windows import current_window

CHUNK = 512  # windows judged at once after the walk


@dataclass
class Judged:
    """One batch's seconds: probabilities by which senses were given, each (S,)."""

    name: str
    label: np.ndarray
    onset: np.ndarray
    both: np.ndarray
    current: np.ndarray
    video: np.ndarray
    alignment: np.ndarray


class Compiled(keras.Model):
    """A function over a list of arrays, compiled by whatever backend runs."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, arrays):
        return self.function(*arrays)


class Runner:
    """The network's two functions over rows of batches, numpy in and out."""

    def __init__(self, model):
        self.token_shape = (geometry.FRAMES, FRAME_TOKENS, model.config.dim)
        self.encode_frame, self.judge_window = Compiled(model.encode_frame), Compiled(model.step)

    def encode(self, *arrays):
        return self.encode_frame.predict_on_batch(list(arrays))

    def step(self, *arrays):
        return self.judge_window.predict_on_batch(list(arrays))


def judge(model, batches):
    """Every second of every batch, by both senses and by each alone: list of Judged."""
    runner = Runner(model)
    walk = _Walk(runner, batches, model.config.freeze_background)
    for second in range(walk.seconds):
        walk.advance(second)
    return [_finish(runner, walk, n) for n in range(len(batches))]


class _Walk:
    """The state that the agent keeps: tokens of 16 frames and a background a row."""

    def __init__(self, runner, batches, freeze):
        self.runner, self.batches, self.freeze = runner, batches, freeze
        self.seconds = max(len(b.label) for b in batches)
        rows, size = len(batches), geometry.SIZE
        self.background = np.full((rows, size, size, 1), -1, np.float32)
        self.p = np.zeros((rows, self.seconds), np.float32)
        self.alignment = np.zeros((rows, self.seconds), np.float32)
        # Tokens of each second, after 15 empty ones before the start.
        before = geometry.FRAMES - 1
        self.tokens = np.zeros((rows, before + self.seconds, *runner.token_shape[1:]), np.float32)
        self.seen = np.zeros((rows, before + self.seconds), np.float32)

    def advance(self, second):
        at = second + geometry.FRAMES - 1
        index = [b.frame_at[second] if second < len(b.label) else -1 for b in self.batches]
        there = np.array(index) >= 0
        frames = np.stack([b.frames[max(i, 0)] for b, i in zip(self.batches, index, strict=True)])
        out = self.runner.encode(frames, self.background)
        self.tokens[there, at], self.seen[there, at] = out["tokens"][there], 1
        out_step = self.runner.step(*self.window(np.arange(len(self.batches)), second))
        self.p[:, second] = out_step["p_abnormal"][:, 0]
        self.alignment[:, second] = out_step["alignment"][:, 0]
        moves = there & (self.p[:, second] < self.freeze)
        # A first frame always gives the background its start.
        moves |= there & (self.background[:, 0, 0, 0] < 0)
        self.background[moves] = out["background"][moves]

    def window(self, rows, second):
        """The inputs of step at one second of some rows."""
        span = slice(second, second + geometry.FRAMES)
        parts = [current_window(self.batches[r].currents[0], min(second, len(self.batches[r].label) - 1))
                 for r in rows]
        current, mask, set_point = (np.stack(p) for p in zip(*parts, strict=True))
        return self.tokens[rows, span], self.seen[rows, span], current, mask, set_point


def _finish(runner, walk, row):
    """Adds the verdicts with one sense taken away."""
    batch = walk.batches[row]
    seconds = len(batch.label)
    current, video = np.zeros(seconds, np.float32), np.zeros(seconds, np.float32)
    for start in range(0, seconds, CHUNK):
        some = range(start, min(start + CHUNK, seconds))
        parts = [walk.window([row], s) for s in some]
        tokens, seen, amps, mask, set_point = (np.concatenate(p) for p in zip(*parts, strict=True))
        span = slice(start, start + len(some))
        current[span] = runner.step(tokens, 0 * seen, amps, mask, set_point)["p_abnormal"][:, 0]
        video[span] = runner.step(tokens, seen, amps, 0 * mask, set_point)["p_abnormal"][:, 0]
    return Judged(batch.name, batch.label, batch.onset, walk.p[row, :seconds], current, video,
                  walk.alignment[row, :seconds])

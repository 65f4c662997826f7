"""Runs a network along whole records, second by second, as the agent does.

The loop is closed: the background is frozen while the network's own p_abnormal is high, the
state is abnormal or one sense alone is suspicious (decision.Freeze), so the background
absorbs a hot spot that the network misses, as in service. All batches advance together, one row each.
"""

import keras
import numpy as np

from ..data import window
from ..data.window import FRAME_TOKENS, current_window
from . import current_baseline
from . import decision as decisions
from .familiarity import MISSING, SENSES

# A verdict needs at least so many seconds of current, or more than this share of the frames.
ENOUGH_CURRENT = 30.0
ENOUGH_VIDEO = 0.9


class Compiled(keras.Model):
    """A function over a list of arrays, compiled by the Keras backend."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, arrays):
        return self.function(*arrays)


class Runner:
    """A network's two functions over rows of windows, with numpy arrays."""

    def __init__(self, model):
        self.token_shape = (window.FRAMES, FRAME_TOKENS, model.config.dim)
        self.freezing = decisions.Freezing.of(model.config)
        self.baseline = model.config.current_baseline
        self.encode_frame, self.infer_window = Compiled(model.encode_frame), Compiled(model.step)

    def encode(self, *arrays):
        return self.encode_frame.predict_on_batch(list(arrays))

    def step(self, *arrays):
        return self.infer_window.predict_on_batch(list(arrays))


class ClosedLoop:
    """The state that the agent keeps for each record: tokens, background and state machine."""

    def __init__(self, runner, batches, decision, every):
        self.runner, self.batches, self.every = runner, batches, every
        self.seconds = max(len(b.label) for b in batches)
        rows, size = len(batches), window.SIZE
        self.machines = [decisions.Filter(decision) for _ in batches]
        self.background = np.full((rows, size, size, 1), -1, np.float32)
        self.frozen = np.zeros(rows, bool)
        # The current's, before each second, for a network that has one.
        self.baselines = np.zeros((rows, self.seconds + 1, current_baseline.SIZE), np.float32) if runner.baseline else None
        self.freeze = decisions.Freeze(runner.freezing, rows)
        self.p = np.zeros((rows, self.seconds), np.float32)
        self.senses = None  # p_current and p_video of the last step (2,rows), −1 for a missing sense; None if the network has neither
        # Familiarity of current and video; −1 where unknown.
        self.familiarity = np.full((2, rows, self.seconds), MISSING, np.float32)
        self.alignment = np.zeros((rows, self.seconds), np.float32)
        self.decided = np.zeros((rows, self.seconds), bool)
        # Tokens of each second, preceded by 15 empty ones.
        before = window.FRAMES - 1
        self.tokens = np.zeros((rows, before + self.seconds, *runner.token_shape[1:]), np.float32)
        self.seen = np.zeros((rows, before + self.seconds), np.float32)

    def advance(self, second):
        self.look(second)
        if second % self.every == 0:
            self.decide(second)
        else:
            for kept in (self.p, self.alignment, self.decided, self.familiarity):
                kept[..., second] = kept[..., second - 1]
        abnormal = [m.step(float(p), d) for m, p, d in
                    zip(self.machines, self.p[:, second], self.decided[:, second], strict=True)]
        self.frozen = self.freeze.step(self.p[:, second], self.senses, self.decided[:, second], np.array(abnormal))
        # By the verdict of the same second, so that the first abnormal second does not move it.
        if self.baselines is not None and second % self.every == 0:
            self.baselines[:, second + 1 : second + 1 + self.every] = self._followed(self.after, second)[:, None]

    def look(self, second):
        """Encodes the frames of a second and updates the background unless it is frozen."""
        at = second + window.FRAMES - 1
        index = [b.frame_at[second] if second < len(b.label) else -1 for b in self.batches]
        there = np.array(index) >= 0
        frames = np.stack([b.frames[max(i, 0)] for b, i in zip(self.batches, index, strict=True)])
        out = self.runner.encode(frames, self.background)
        self.tokens[there, at], self.seen[there, at] = out["tokens"][there], 1
        # The first frame always starts the background.
        moves = there & (~self.frozen | (self.background[:, 0, 0, 0] < 0))
        self.background[moves] = out["background"][moves]

    def decide(self, second):
        inputs = self.window(np.arange(len(self.batches)), second)
        out = self.runner.step(*inputs)
        self.p[:, second] = out["p_abnormal"][:, 0]
        self.alignment[:, second] = out["alignment"][:, 0]
        self.after = out.get("current_baseline")
        if "p_current" in out:
            self.senses = np.stack([out["p_current"][:, 0], out["p_video"][:, 0]])
        for kept, sense in zip(self.familiarity, SENSES, strict=True):
            if f"familiarity_{sense}" in out:
                kept[:, second] = out[f"familiarity_{sense}"][:, 0]
        seen, mask = inputs[1], inputs[3]
        self.decided[:, second] = ((mask.sum(1) / window.SAMPLE_HZ >= ENOUGH_CURRENT)
                                   | (seen.mean(1) > ENOUGH_VIDEO))

    def _followed(self, after, second):
        """The baseline after `every` seconds, from that of one second, unless it is frozen: (rows,4)."""
        before = self.baselines[:, second]
        seconds = after[:, -1:]
        # Steps that are left out count as if each had moved it as far; the first ones set it.
        times = np.minimum(self.every, np.maximum(seconds, 1))
        moved = before + times * (after - before)
        moved[:, -1:] = np.minimum(moved[:, -1:], current_baseline.FALL_SECONDS)
        return np.where(self.frozen[:, None], before, moved)

    def window(self, rows, second):
        """The inputs of step for some rows at one second."""
        span = slice(second, second + window.FRAMES)
        parts = [current_window(self.batches[r].currents[0], min(second, len(self.batches[r].label) - 1))
                 for r in rows]
        current, mask, set_point = (np.stack(p) for p in zip(*parts, strict=True))
        kept = () if self.baselines is None else (self.baselines[rows, second],)
        return self.tokens[rows, span], self.seen[rows, span], current, mask, set_point, *kept

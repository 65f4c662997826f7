"""The slow background of every frame, computed along the record in advance.

In service the background passes from call to call and is frozen while p_abnormal is
high. Training draws windows at random, so the maps are computed once: one every STRIDE
seconds, on two tracks. The "frozen" track stops while the label is abnormal, as under a
good model; the "following" track never stops, as under a model that detects nothing.

A third case is an agent after a restart, whose background starts from a recent frame;
drawn() makes it from the frame itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BACKGROUND_SECONDS = 60.0
BRIGHTEST = 6.0  # times the frame's mean
STRIDE = 5  # seconds between stored maps; the background moves 8 % in that time


def grey(frames):
    """The grey level of tokenizers.normalized_frame in numpy: (…,64,64) float32."""
    x = frames.astype(np.float32) / 255.0
    mean = np.maximum(x.mean(axis=(-3, -2), keepdims=True), 0.02)
    return np.minimum(x / mean, BRIGHTEST).mean(axis=-1)


TONE_MARGIN = 0.06  # keeps the tone of black and of white finite
LEAST_SPREAD = 0.1  # of the tone; a flatter frame is not stretched further
MOST_SPREADS = 8.0  # pixels farther from the mean are cut
LEVELS = np.arange(256, dtype=np.float32) / 255.0
TONES = np.log((LEVELS + TONE_MARGIN) / (1.0 + TONE_MARGIN - LEVELS))


def toned(frames):
    """The map of fitted.tone_map in numpy, of uint8 frames: (…,64,64) float32, at least 0."""
    tone = TONES[frames].mean(axis=-1)
    over = (-2, -1)
    mean = tone.mean(axis=over, keepdims=True)
    spread = 1.25 * np.abs(tone - mean).mean(axis=over, keepdims=True)
    held = np.clip(tone, mean - 3 * spread, mean + 3 * spread)
    mean = held.mean(axis=over, keepdims=True)
    spread = np.maximum(1.25 * np.abs(held - mean).mean(axis=over, keepdims=True), LEAST_SPREAD)
    return np.clip((tone - mean) / spread, -MOST_SPREADS, MOST_SPREADS) + MOST_SPREADS


@dataclass(frozen=True)
class Space:
    """What a background is the slow mean of, and how slowly it follows, in seconds."""

    of: Callable  # frames (…,64,64,3) uint8 → (…,64,64), at least 0
    rise: float  # where the frame is brighter than the background
    fall: float
    lamp: float  # what a bright reflection is in it

    def step(self, ahead):
        """The change of the background in one second; ahead: frame less background."""
        return ahead / self.rise if self.rise == self.fall else ahead * np.where(ahead > 0, 1 / self.rise, 1 / self.fall)


MEAN = Space(grey, BACKGROUND_SECONDS, BACKGROUND_SECONDS, lamp=2.5)
# A growing spot brightens: following it slowly keeps it in the residual.
FITTED = Space(toned, 180.0, BACKGROUND_SECONDS, lamp=MOST_SPREADS + 2.5)
SPACES = {"mean": MEAN, "fitted": FITTED}  # by the names that configs hold


def tracks(batch, space=MEAN):
    """(2, S/STRIDE, 64, 64) float16: the frozen and the following background."""
    seconds = len(batch.label)
    kept = np.zeros((2, (seconds + STRIDE - 1) // STRIDE, *batch.frames.shape[1:3]), np.float16)
    state = None  # (2,64,64)
    for s in range(seconds):
        if batch.frame_at[s] >= 0:
            now = space.of(batch.frames[batch.frame_at[s]])
            if state is None:
                state = np.stack([now, now])
        if s % STRIDE == 0:
            kept[:, s // STRIDE] = -1 if state is None else state
        if batch.frame_at[s] >= 0:
            state[1] += space.step(now - state[1])
            if batch.label[s] != 1:
                state[0] += space.step(now - state[0])
    return kept


def drawn(rng, batch, kept, seconds, space=MEAN):
    """A random plausible background at these seconds: (M,64,64). kept: the batch's tracks()."""
    kind = rng.random()
    if kind < 0.15:  # a recent restart
        start = max(seconds[-1] - rng.integers(0, 60), 0)
        index = batch.frame_at[start]
        if index >= 0:
            return np.repeat(space.of(batch.frames[index])[None], len(seconds), 0)
    back = rng.integers(0, 300) if kind > 0.85 else 0  # frozen without cause
    track = 1 if 0.15 <= kind < 0.35 else 0
    return kept[track, np.maximum(seconds - back, 0) // STRIDE].astype(np.float32)

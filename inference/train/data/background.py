"""The slow background of every frame, computed along the record in advance.

In service the background passes from call to call and is frozen while p_abnormal is
high. Training draws windows at random, so the maps are computed once: one every STRIDE
seconds, on two tracks. The "frozen" track stops while the label is abnormal, as under a
good model; the "following" track never stops, as under a model that detects nothing.

A third case is an agent after a restart, whose background starts from a recent frame;
drawn() makes it from the frame itself.
"""

import numpy as np

BACKGROUND_SECONDS = 60.0
BRIGHTEST = 6.0  # times the frame's mean
STRIDE = 5  # seconds between stored maps; the background moves 8 % in that time


def grey(frames):
    """The grey level of tokenizers.normalized_frame in numpy: (…,64,64) float32."""
    x = frames.astype(np.float32) / 255.0
    mean = np.maximum(x.mean(axis=(-3, -2), keepdims=True), 0.02)
    return np.minimum(x / mean, BRIGHTEST).mean(axis=-1)


def tracks(batch):
    """(2, S/STRIDE, 64, 64) float16: the frozen and the following background."""
    seconds = len(batch.label)
    kept = np.zeros((2, (seconds + STRIDE - 1) // STRIDE, *batch.frames.shape[1:3]), np.float16)
    state = None  # (2,64,64)
    for s in range(seconds):
        if batch.frame_at[s] >= 0:
            now = grey(batch.frames[batch.frame_at[s]])
            if state is None:
                state = np.stack([now, now])
        if s % STRIDE == 0:
            kept[:, s // STRIDE] = -1 if state is None else state
        if batch.frame_at[s] >= 0:
            state[1] += (now - state[1]) / BACKGROUND_SECONDS
            if batch.label[s] != 1:
                state[0] += (now - state[0]) / BACKGROUND_SECONDS
    return kept


def drawn(rng, batch, kept, seconds):
    """A random plausible background at these seconds: (M,64,64). kept: the batch's tracks()."""
    kind = rng.random()
    if kind < 0.15:  # a recent restart
        start = max(seconds[-1] - rng.integers(0, 60), 0)
        index = batch.frame_at[start]
        if index >= 0:
            return np.repeat(grey(batch.frames[index])[None], len(seconds), 0)
    back = rng.integers(0, 300) if kind > 0.85 else 0  # frozen without cause
    track = 1 if 0.15 <= kind < 0.35 else 0
    return kept[track, np.maximum(seconds - back, 0) // STRIDE].astype(np.float32)

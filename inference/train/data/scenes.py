"""Scenes harder than a usual melt: mist, flame and exposure over a whole record.

The conditions of evaluation/batched.py mask inputs; these change the picture, so the frames
are encoded again (encode --scenes) and the background follows what the camera would have
shown. Training has mist and gain of its own (augment.py), drawn differently.

Each scene maps frames (S,64,64,3) uint8, one a second, to the same shape with a random
generator. The batch's name is the seed, so every system sees the same record.
"""

import zlib

import numpy as np

from .window import SIZE

WHITE = 235.0  # level of opaque mist
CELLS = 4  # along one side of the mist's pattern
FLAME = np.array([255.0, 170.0, 60.0])


def slow(rng, seconds, period, channels=1):
    """Noise in 0 … 1 that varies over `period` seconds: (S,channels)."""
    knots = rng.random((seconds // period + 2, channels))
    at = np.arange(seconds) / period
    low, share = at.astype(int), (at % 1)[:, None]
    share = share * share * (3 - 2 * share)
    return knots[low] * (1 - share) + knots[low + 1] * share


def mist(frames, rng):
    """White haze over the whole record, up to 60 % opaque, drifting within half a minute."""
    seconds = len(frames)
    cells = slow(rng, seconds, 30, CELLS * CELLS).reshape(seconds, CELLS, CELLS)
    share = 0.6 * np.kron(cells, np.ones((SIZE // CELLS, SIZE // CELLS)))[..., None]  # (S,64,64,1)
    return mixed(frames, WHITE, share)


def flame(frames, rng):
    """Firelight on the upper half, flaring and dying within seconds, brighter towards the top."""
    seconds = len(frames)
    height = np.clip(1 - 2 * np.arange(SIZE) / SIZE, 0, 1)[:, None]                   # (64,1)
    share = 0.7 * slow(rng, seconds, 3)[:, :, None] * height * np.ones(SIZE)          # (S,64,64)
    return mixed(frames, FLAME, share[..., None])


def exposure(frames, rng):
    """The whole picture at half to twice its brightness, changing within twenty seconds."""
    gain = 2.0 ** (2 * slow(rng, len(frames), 20) - 1)                                # (S,1)
    return np.clip(frames * gain[:, :, None, None], 0, 255).astype(np.uint8)


def mixed(frames, colour, share):
    return np.clip(frames + (colour - frames.astype(np.float32)) * share, 0, 255).astype(np.uint8)


SCENES = {"mist": mist, "flame": flame, "exposure": exposure}


def changed(frames, scene, name):
    """The frames of the batch `name` in a scene."""
    return SCENES[scene](frames, np.random.default_rng(zlib.crc32(name.encode())))

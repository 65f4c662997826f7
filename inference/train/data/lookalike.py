"""Fixed look-alikes of the hot spot: places of another melt's picture, put into a whole window.

A reflection or an edge with the fire behind it can look like a hot spot from the first frame
on. It does not grow, and the background holds it too. Every half hour of other families in which
release 0.4.3 raised a false alarm has one (docs/transfer-earlier.md). Windows of both classes get one, so
that it tells nothing of the class.
"""

import numpy as np

from . import window
from .records import PLACES

FULL = 12  # pixels of glow in one of the 8 × 8 places from which the place is taken over whole
MOVED = 20  # pixels at most, along each axis
FLICKER = 0.05  # spread of its light from frame to frame


def upsampling():
    """Bilinear from PLACES to the frame's pixels, along one axis: (64,8)."""
    side = window.SIZE // PLACES
    at = np.clip((np.arange(window.SIZE) + 0.5) / side - 0.5, 0, PLACES - 1)
    low = np.minimum(at.astype(int), PLACES - 2)
    weights = np.zeros((window.SIZE, PLACES), np.float32)
    pixels = np.arange(window.SIZE)
    weights[pixels, low], weights[pixels, low + 1] = 1 - (at - low), at - low
    return weights


UPSAMPLING = upsampling()


def paste(rng, frames, maps, space, donor, spot):
    """Puts the glow of a donor's frame into frames and their background.

    frames: (M,64,64,3) uint8; maps: (M,64,64) in the background's space, −1 where it has not
    started; donor: (64,64,3) uint8; spot: (64,) pixels of glow in its places. Returns both anew.
    """
    share = UPSAMPLING @ np.minimum(spot.reshape(PLACES, PLACES) / FULL, 1.0) @ UPSAMPLING.T  # (64,64)
    by = tuple(rng.integers(-MOVED, MOVED + 1, 2))
    donor, share = np.roll(donor, by, (0, 1)), np.roll(share, by, (0, 1))[..., None].astype(np.float32)
    if rng.random() < 0.5:
        donor, share = donor[:, ::-1], share[:, ::-1]
    # It follows the exposure of the frames that it is in.
    level = frames.mean(axis=(1, 2, 3)) / max(donor.mean(), 1.0)          # (M,)
    light = np.clip(level, 0.3, 3.0) * np.exp(rng.normal(0, FLICKER, len(frames)))
    put = donor * light[:, None, None, None].astype(np.float32)           # (M,64,64,3)
    mixed = np.clip(frames + (put - frames) * share, 0, 255).astype(np.uint8)
    # As bright in the background as in the window's first frame.
    stands = space.of(mixed[0])                                            # (64,64)
    lit = maps + (stands - maps) * share[..., 0]
    return mixed, np.where(maps < 0, maps, lit)

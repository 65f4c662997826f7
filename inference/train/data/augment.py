"""Augmentations that keep the class: variations that a furnace, a lens or a meter causes.

draw() draws the settings of a batch with numpy, so that a seed repeats a run; pixels()
applies the picture's part inside the training graph; current() and seen_slots() apply
the rest on the host. Some model the path of a real picture: an encoder softens it and
leaves blocks, and colour conversion is off by a few levels. The fluctuation of the current
is never scaled separately from its level, nor smoothed: it distinguishes quiet from normal.

Shapes: B windows, M frames.
"""

import numpy as np
from keras import ops

from .meters import METERS
from .window import FRAMES, SAMPLES, SIZE

MIST_GRID = 5  # cells along one side of the mist
BEGUN = 0.2  # share of windows with less than a whole window of a sense
BLOCK = 4  # pixels along one side of an encoder's block


def draw(rng, windows, frames, lamp=None):
    """Random settings of pixels(), by their names in the batch.

    lamp: also draws those of other cameras and halls; what a lamp is in the background.
    """
    some = lambda p, *shape: (rng.random((windows, *shape)) < p).astype(np.float32)
    gain = rng.normal(0, 0.2, (windows, 1)) + rng.normal(0, 0.12, (windows, 3))
    mist = rng.random((windows, frames, MIST_GRID, MIST_GRID)) ** 2
    mist = mist * some(0.25, 1, 1, 1) * some(0.7, frames, 1, 1) * 0.8
    corner = rng.random((windows, 1, 2)) * 1.2 - 0.2
    drift = rng.normal(0, 0.05, (windows, frames, 2))
    side = rng.uniform(0.1, 0.5, (windows, frames, 2))
    hidden = some(0.2, 1, 1) * some(0.7, frames, 1)
    return {
        "gain": np.exp(gain).astype(np.float32),  # (B,3)
        "mist": mist.astype(np.float32),  # (B,M,5,5), share of white
        # (B,M,4): top, left, bottom, right of the area that a person hides, as shares
        # of the picture; at most a quarter of it.
        "hidden": np.concatenate([corner + drift, (corner + drift + side) * hidden],
                                 axis=2).astype(np.float32),
        "shade": rng.uniform(0, 160, (windows, 1)).astype(np.float32),  # (B,1) grey level of that person
    } | draw_decoding(rng, windows, frames, some) | ({} if lamp is None else draw_wide(rng, windows, frames, some, lamp))


def draw_wide(rng, windows, frames, some, lamp):
    """Settings of other cameras and halls: tone curve, clipping, wandering white balance, a fixed bright reflection."""
    wander = np.cumsum(rng.normal(0, 0.06, (windows, frames, 3)), axis=1) * some(0.5, 1, 1)
    flicker = rng.normal(0, 0.1, (windows, frames, 1)) * some(0.3, 1, 1)
    return {
        "curve": np.exp(rng.normal(0, 0.25, (windows, 1)) + rng.normal(0, 0.05, (windows, 3))).astype(np.float32),  # (B,3) exponent
        "white": np.exp(wander + flicker + some(0.25, 1, 1) * rng.uniform(0, 0.9, (windows, 1, 1))
                        + some(0.2, 1, 1) * rng.uniform(-1.2, 0, (windows, 1, 1))).astype(np.float32),  # (B,M,3) gain
        # (B,5): centre, height and width as shares of the picture, and the share of the lamp; 0 without one.
        "lamp": np.concatenate([rng.random((windows, 2)), np.exp(rng.uniform(np.log(0.02), np.log(0.2), (windows, 2))),
                                some(0.3, 1) * rng.uniform(0.5, 1, (windows, 1))], axis=1).astype(np.float32),
        "lamp_stands": np.full((windows, 1), lamp, np.float32),
        "lamp_colour": (255 * np.array([1.0, 0.9, 0.75]) ** rng.uniform(0, 2, (windows, 1))).astype(np.float32),  # (B,3)
        # (B,M,1): the lamp's share in each frame; mostly steady.
        "lamp_light": (1 - some(0.3, 1, 1) * rng.random((windows, frames, 1)) * 0.5).astype(np.float32),
    }


def draw_decoding(rng, windows, frames, some):
    """Settings of the artefacts of encoding, decoding and colour conversion."""
    noise = lambda side: rng.integers(-127, 128, (windows, frames, side, side, 1), np.int8)
    return {
        # Share of a 3 × 3 mean; softened() uses the first half of the windows only.
        "soft": rng.uniform(0, 0.8, (windows, 1)).astype(np.float32),
        "contrast": rng.normal(0, 0.03, (windows, 1)).astype(np.float32),
        "offset": rng.normal(0, 1.5, (windows, 3)).astype(np.float32),  # grey levels
        "grain": noise(SIZE),  # (B,M,64,64,1)
        "grain_levels": some(0.6, 1) * rng.uniform(0, 4, (windows, 1)).astype(np.float32),  # at most
        "blocks": noise(SIZE // BLOCK),  # (B,M,16,16,1)
        "block_levels": some(0.5, 1) * rng.uniform(0, 4, (windows, 1)).astype(np.float32),
    }


def pixels(frames, background, settings):
    """frames (B,M,64,64,3) 0–255 as float32 and background (B,M,64,64,1), by draw()'s settings."""
    x = ops.cast(frames, "float32") * settings["gain"][:, None, None, None]  # (B,M,64,64,3)
    if "curve" in settings:
        x, background = otherwise(x, background, settings)
    x = cover(x, settings)                                                 # (B,M,64,64,3)
    x = decoded(x, settings)                                               # (B,M,64,64,3)
    return ops.clip(x, 0.0, 255.0), softened(background, settings)


def otherwise(x, background, settings):
    """x (B,M,64,64,3) by draw_wide()'s settings, and the background (B,M,64,64,1) with the lamp in it."""
    line = (ops.arange(SIZE, dtype="float32") + 0.5) / SIZE                # (64,)
    lamp = settings["lamp"]                                                # (B,5)
    off = lambda at, side: ops.square((line - lamp[:, at : at + 1]) / lamp[:, side : side + 1])  # (B,64)
    disc = ops.sigmoid(4.0 * (1.0 - off(0, 2)[:, :, None] - off(1, 3)[:, None])) * lamp[:, 4][:, None, None]  # (B,64,64)
    disc = disc[:, None, :, :, None]                                       # (B,1,64,64,1)
    x = x + (settings["lamp_colour"][:, None, None, None] - x) * disc * settings["lamp_light"][:, :, :, None, None]
    stands = settings["lamp_stands"][:, :, None, None, None]               # (B,1,1,1,1)
    lit = background + (stands - background) * disc                        # (B,M,64,64,1)
    background = ops.where(background < 0, background, lit)
    x = ops.clip(x * (settings["white"][:, :, None, None] / 255.0), 1e-3, 1.0)
    return 255.0 * ops.exp(settings["curve"][:, None, None, None] * ops.log(x)), background


def decoded(x, settings):
    """x (B,M,64,64,3) after draw_decoding()'s settings."""
    of = lambda name: settings[name][:, None, None, None]                  # (B,1,1,1,·)
    x = softened(x, settings)                                              # (B,M,64,64,3)
    blocks = ops.cast(settings["blocks"], "float32") / 127.0               # (B,M,16,16,1)
    blocks = ops.repeat(ops.repeat(blocks, BLOCK, axis=2), BLOCK, axis=3)  # (B,M,64,64,1)
    grain = ops.cast(settings["grain"], "float32") / 127.0                 # (B,M,64,64,1)
    levels = blocks * of("block_levels") + grain * of("grain_levels")      # (B,M,64,64,1)
    slope = 1.0 + of("contrast")                                           # (B,1,1,1,1)
    return x * slope + (128.0 * (1.0 - slope) + of("offset")) + levels     # (B,M,64,64,3)


def softened(x, settings):
    """Mixes each pixel with the mean around it in half of the windows: x (B,M,64,64,C).

    Only half, because it is slow. A background that has not started, −1 everywhere,
    is unchanged.
    """
    half, m, channels = ops.shape(x)[0] // 2, x.shape[1], x.shape[-1]
    some = ops.reshape(x[:half], (-1, SIZE, SIZE, channels))               # (BM/2,64,64,C)
    around = ops.average_pool(some, 3, 1, padding="same")                  # (BM/2,64,64,C)
    share = ops.repeat(settings["soft"][:half, :, None, None], m, axis=0)  # (BM/2,1,1,1)
    some = ops.reshape(some + (around - some) * share, (-1, m, SIZE, SIZE, channels))
    return ops.concatenate([some, x[half:]], axis=0)                       # (B,M,64,64,C)


def cover(x, settings):
    """x (B,M,64,64,3) behind mist and behind a person in front of the camera."""
    m = x.shape[1]
    mist = ops.reshape(settings["mist"], (-1, MIST_GRID, MIST_GRID, 1))    # (BM,5,5,1)
    mist = ops.image.resize(mist, (SIZE, SIZE), data_format="channels_last")  # (BM,64,64,1)
    mist = ops.reshape(mist, (-1, m, SIZE, SIZE, 1))                       # (B,M,64,64,1)
    x = x + (235.0 - x) * mist                                             # (B,M,64,64,3)
    box = settings["hidden"] * SIZE                                        # (B,M,4)
    line = ops.arange(SIZE, dtype="float32")                               # (64,)
    rows = inside(line, box[:, :, 0:1], box[:, :, 2:3])                    # (B,M,64)
    columns = inside(line, box[:, :, 1:2], box[:, :, 3:4])                 # (B,M,64)
    box = (rows[:, :, :, None] * columns[:, :, None])[:, :, :, :, None]    # (B,M,64,64,1)
    shade = settings["shade"][:, :, None, None, None]                      # (B,1,1,1,1)
    return x + (shade - x) * box                                           # (B,M,64,64,3)


def inside(line, low, high):
    return ops.cast(ops.logical_and(line >= low, line < high), "float32")


def current(rng, amps, mask, set_point, odd=0.0):
    """Augments one window of current, its mask and its set-point in place.

    amps (240,3), mask (240,), set_point (1,). Current against set-point ±5 %, phases in any
    order, up to 4 samples lost; sometimes no set-point, a partly filled window, or a gap of
    up to 10 samples. odd: share of windows that a slower or lossy meter has sampled.
    """
    amps *= rng.uniform(0.95, 1.05)
    amps[:] = amps[:, rng.permutation(amps.shape[1])]
    mask[rng.integers(0, SAMPLES, rng.integers(0, 5))] = 0
    if rng.random() < 0.2:
        set_point[:] = 0
    if rng.random() < BEGUN:
        mask[: rng.integers(0, SAMPLES - 4)] = 0
    if rng.random() < 0.1:
        start, length = rng.integers(0, SAMPLES), rng.integers(2, 11)
        mask[start : start + length] = 0
    if odd and rng.random() < odd:
        mask *= thinned(rng)


def thinned(rng):
    """The mask of one of meters.METERS: (240,)."""
    return METERS[rng.choice(list(METERS))](SAMPLES, rng)


def seen_slots(rng, count):
    """Random slots of the frames in a window, ascending (count,), and which of them count.

    Often only the newest 1 … 15 count, as after a start.
    """
    newest = rng.integers(1, FRAMES) if rng.random() < BEGUN else FRAMES
    first = FRAMES - newest
    some = first + rng.permutation(newest)[:count]
    spare = rng.permutation(first)[: count - len(some)]
    slots = np.sort(np.concatenate([spare, some]))
    return slots, slots >= first


def drop_sense(rng, share):
    """Whether to keep (current, video); each is dropped with probability share, never both."""
    keep = rng.random(2) >= share
    return keep if keep.any() else np.array([True, True])

"""Meters that give fewer samples than the window has: slow ones, and ones on a bad line.

Each takes a number of samples and a random generator, and tells which samples it keeps.
"""

import numpy as np

LOST = 0.3  # share of the samples that a bad line loses
BURST = (3, 21)  # samples lost together, from and to below


def slow(every):
    """A meter that is polled once in so many samples."""
    return lambda count, rng: np.arange(count) % every == rng.integers(every)


def singly(count, rng):
    return rng.random(count) >= LOST


def in_bursts(count, rng):
    kept = np.ones(count, bool)
    while count and kept.mean() > 1 - LOST:
        start = rng.integers(count)
        kept[start : start + rng.integers(*BURST)] = False
    return kept


def both(first, second):
    """A slow meter on a bad line."""
    return lambda count, rng: first(count, rng) & second(count, rng)


SLOWEST = 3  # one sample in so many
METERS = {"every-2nd": slow(2), "every-3rd": slow(SLOWEST), "lost": singly, "bursts": in_bursts}
# Tested, not trained on.
SLOW_AND_LOST = {"every-2nd-lost": both(slow(2), singly), "every-3rd-lost": both(slow(SLOWEST), singly)}
EVERY = "every"  # of the window's own samples

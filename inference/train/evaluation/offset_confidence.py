"""When a clock offset is known: features of a pool's mean curve, and the estimates of a record, as the agent makes them.

agent/align computes the same from the same curves; tests of both read one file of cases
(agent/align/testdata).
"""

from dataclasses import dataclass, replace

import numpy as np

from ..models.codebook import SHIFTS
from .clock_offset import dip

FEATURES = ("height", "agreement", "significance")
BLOCKS = 12  # consecutive parts of a pool, three to a quarter
LEAST = 120  # windows of a pool
MOST = 480
NEAR_S = 1.0  # an estimate is right within so many seconds
CLIPPED_S = 2.0  # a part that is farther away says no more
SURE = 20.0  # a significance beyond which more says no more
FLOOR = 0.02  # of the curve's spread, added to a standard error
STEP = SHIFTS[1] - SHIFTS[0]
TINY = 1e-12


@dataclass
class Measured:
    """Pools' estimates: the shift of the least mean, whether it lies within the curve, and FEATURES (N,F); (N,) each.

    quarters: whether the least of each quarter lies within the curve, too; spread: the root
    of their mean squared distance from the shift, in seconds.
    """

    shift: np.ndarray
    inner: np.ndarray
    quarters: np.ndarray
    spread: np.ndarray
    features: np.ndarray


class Pools:
    """Pools of consecutive windows of one record, from its curves (W,21)."""

    def __init__(self, curves):
        prominent = dip(np.asarray(curves, float))
        self.sums = np.concatenate([np.zeros((1, len(SHIFTS))), np.cumsum(prominent, axis=0)])  # (W+1,21)

    def measured(self, first, last):
        """Of windows first … last − 1, (N,) each."""
        first, last = np.asarray(first), np.asarray(last)
        edges = first + np.arange(BLOCKS + 1)[:, None] * (last - first) // BLOCKS  # (13,N)
        mean = lambda a, b: (self.sums[b] - self.sums[a]) / (b - a)[:, None]
        whole, rows = -mean(first, last), np.arange(len(first))            # (N,21), the higher the better
        best = whole.argmax(1)
        shift = vertices(whole, best)
        spread = whole.std(1)
        near = np.abs(np.array(SHIFTS)[None] - np.array(SHIFTS)[best][:, None]) <= NEAR_S  # (N,21)
        top = whole[rows, best]
        quarters = [-mean(edges[3 * q], edges[3 * q + 3]) for q in range(4)]
        parts = [part.argmax(1) for part in quarters]
        away = np.abs([vertices(part, at) - shift for part, at in zip(quarters, parts, strict=True)])  # (4,N)
        blocks = np.stack([-mean(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)])  # (12,N,21)
        ahead = blocks[:, rows, best][:, :, None] - blocks                 # (12,N,21)
        error = ahead.std(0, ddof=1) / BLOCKS**0.5 + FLOOR * spread[:, None] + TINY
        certain = np.where(near, np.inf, ahead.mean(0) / error).min(1)
        return Measured(shift, within(best), np.all([within(at) for at in parts], axis=0), np.sqrt((away**2).mean(0)), np.stack([
            (top - np.median(whole, axis=1)) / (spread + TINY),
            np.sqrt((np.minimum(away, CLIPPED_S) ** 2).mean(0)),
            np.minimum(certain, SURE),
        ], axis=1))


def within(best):
    return (best > 0) & (best < len(SHIFTS) - 1)


def vertices(curves, best):
    """The shift of the greatest value of each curve, by a parabola through its neighbours; at an edge that of the edge: (N,)."""
    rows, inner = np.arange(len(curves)), np.clip(best, 1, curves.shape[1] - 2)
    a, b, c = (curves[rows, inner + d] for d in (-1, 0, 1))
    bend = 2 * b - a - c
    aside = np.where((best == inner) & (bend > 0), 0.5 * (c - a) / np.where(bend > 0, bend, 1.0), 0.0)
    return np.array(SHIFTS)[best] + STEP * aside


@dataclass
class Estimates:
    """The newest estimate at each window of a record, (W,) each.

    shift and windows, on which it rests, of a known one; probability of any, 0 without one.
    """

    shift: np.ndarray
    windows: np.ndarray
    probability: np.ndarray
    known: np.ndarray


def levels(curves, last, least=LEAST, most=MOST):
    """The pools that the agent tries once it has observed the first `last` (N,) curves: pairs of sizes (N,) and Measured.

    The newest windows, `most` at the most, then their newest half, quarter and so on, because
    a delay that has changed divides the pool. Pools of fewer windows than `least` have no estimate.
    """
    pools, size = Pools(curves), np.minimum(last, most)
    while (size >= least).any():
        enough = size >= least
        found = pools.measured(np.where(enough, last - size, 0), np.where(enough, last, least))
        yield size, replace(found, inner=found.inner & enough)
        size = size // 2


def estimates(confidence, curves, least=LEAST, most=MOST):
    """The Estimates of a record's curves (W,21) as they come: of the first level that is known, or of the most probable."""
    out, last = unknown(len(curves)), np.arange(1, len(curves) + 1)
    for size, found in levels(curves, last, least, most):
        p = np.where(found.inner, confidence.probability(found.features), 0.0)
        at = np.flatnonzero(~out.known & (p > out.probability))
        out.shift[at], out.windows[at], out.probability[at] = found.shift[at], size[at], p[at]
        out.known[at] = p[at] >= confidence.threshold
    return out


def unknown(count):
    return Estimates(np.zeros(count), np.zeros(count, int), np.zeros(count), np.zeros(count, bool))


def agreed(curves):
    """The Estimates by the rule of earlier releases: MOST windows, whose quarters all have a minimum within 1 s on average."""
    out, last = unknown(len(curves)), np.arange(MOST, len(curves) + 1)
    found = Pools(curves).measured(last - MOST, last)
    out.shift[last - 1], out.windows[last - 1] = found.shift, MOST
    out.known[last - 1] = found.inner & found.quarters & (found.spread <= NEAR_S)
    return out

"""Retrieval and matching on held-out welds: whose current is it?

Windows whose frames do not overlap are drawn from the welds of a fold. R@1 is how often a
video's own current is the most similar of all of them; chance is 1 in as many windows. The
ridge's similarity is the correlation of the current that a window's 16 frames show with the
samples of the same seconds: what local coupling alone can tell.
"""

from dataclasses import dataclass

import numpy as np

from ..data import welds, window
from . import sanity
from .welds_offset import MARGIN
from .welds_rows import ORDER, Trainer, inputs_of

WINDOWS = 64
DRAWS = 16


def spots(held):
    """(weld, newest frame) of windows of the held-out welds whose frames do not overlap."""
    found = []
    for n, weld in enumerate(held):
        lowest, highest = welds.inner(weld, MARGIN)
        found += [(n, last) for last in range(lowest + window.FRAMES - 1, highest, window.FRAMES)]
    return found


def draws(count):
    """The numbers of the windows in each draw, the same for every row."""
    rng = np.random.default_rng(1)
    return [rng.permutation(count)[:WINDOWS] for _ in range(DRAWS)]


def of_ridge(ridge, held):
    places = spots(held)
    shown, current = ([] for _ in range(2))
    for n, weld in enumerate(held):
        reading = ridge.reading(weld)
        for last in (s for m, s in places if m == n):
            at = slice(welds.PER_FRAME * (last - window.FRAMES + 1), welds.PER_FRAME * (last + 1))
            shown.append(reading.shown[at])
            current.append(reading.current[at])
    scaled = lambda x: (x - x.mean(1, keepdims=True)) / (x.std(1, keepdims=True) + 1e-9)
    shown, current = scaled(np.array(shown)), scaled(np.array(current))
    return summary([{"retrieval": sanity.retrieval(shown[d], current[d])} for d in draws(len(places))], len(places))


@dataclass
class Matching:
    """The matching head of a trained network, as sanity.matching asks it."""

    trainer: Trainer

    def predict_on_batch(self, arrays):
        return self.trainer.predict(dict(zip(ORDER, arrays, strict=True)))["match"]


def of_network(trainer, held, components):
    places = spots(held)
    parts = [inputs_of(w, components.tokens(w.frames), [last for m, last in places if m == n]) for n, w in enumerate(held)]
    inputs = {k: np.concatenate([p[k] for p in parts]) for k in ORDER}
    out, found = trainer.predict(inputs), []
    for n, d in enumerate(draws(len(places))):
        drawn = {k: v[d] for k, v in out.items()}
        figures = {"retrieval": sanity.retrieval(drawn["z_video"], drawn["z_current"])}
        if "match" in drawn:
            # Every window has a label of its own, so each other window's current is a false one.
            figures |= sanity.matching(Matching(trainer), {k: v[d] for k, v in inputs.items()}, drawn, np.arange(len(d)),
                                       np.random.default_rng(n))
        found.append(figures)
    return summary(found, len(places))


def summary(found, count):
    """Means over the draws, and how many windows one has."""
    return {k: round(float(np.mean([f[k] for f in found])), 4) for k in found[0]} | {"windows": min(count, WINDOWS)}

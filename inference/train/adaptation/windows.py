"""Training windows for adapting: a plant's own seconds, beside replayed ones of the simulator.

Half of each source's windows are abnormal. The normal half is drawn from the labelled batches
and from the normal hours alike, so what a plant has most of teaches what is normal there.
"""

import dataclasses

import keras
import numpy as np

from ..data.sampler import AHEAD, OneClass, PixelWindows

MOST_HOURS = 6.0  # of normal work in training; an hour of frames takes 45 MB, and its backgrounds 12


class Windows(keras.utils.PyDataset):
    """Batches of several PixelWindows, one after the other in each batch."""

    def __init__(self, sources):
        super().__init__(workers=AHEAD)
        self.sources = sources

    def __len__(self):
        return min(len(s) for s in self.sources)

    def __getitem__(self, step):
        parts = [source[step] for source in self.sources]
        return tuple({k: np.concatenate([p[i][k] for p in parts]) for k in parts[0][i]} for i in (0, 1))


def drawn(own, replayed, config, training, steps, seed):
    """The Windows of own batches and, where there are any, of replayed ones, in the training's share; config: of the network."""
    count = lambda share: 2 * max(round(training.windows * share / 2), 1)
    of = lambda batches, share, number: PixelWindows(
        batches, dataclasses.replace(config, windows=count(share), frames=training.frames), steps, (seed, number))
    try:
        sources = [of(own, 1 - training.replayed if replayed else 1.0, 0)]
    except OneClass:
        raise ValueError("the labelled batches contain only one class; label abnormal stretches and normal ones beside them") from None
    try:
        return Windows(sources + ([of(replayed, training.replayed, 1)] if replayed else []))
    except OneClass:
        raise ValueError("the replayed batches contain only one class; make them with furnace-sim dataset --life mixed or hard") from None


def some_hours(scored, most=MOST_HOURS):
    """Evenly spaced ones of scored normal batches, `most` hours of them at most, as (folder, name)."""
    total = sum(len(s.batch.label) for s in scored) / 3600
    count = len(scored) if total <= most else max(int(len(scored) * most / total), 1)
    at = np.unique(np.linspace(0, len(scored) - 1, count).round().astype(int)) if scored else ()
    return [(scored[i].folder, scored[i].batch.name) for i in at]

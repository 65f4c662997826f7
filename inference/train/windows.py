"""Training windows: drawn at random, balanced by class, augmented.

A window ends at a labelled second. Classes are drawn evenly, then a second of
the class from any batch, then one of the batch's records of current: the same
course rolled with other noise, so that no current can be learnt by heart.
"""

import keras
import numpy as np

from . import augment, background, geometry

EARLIEST = 15  # seconds of record before the first window, as in service


def current_window(record, second):
    """The 120 s that end at a second: amps (240,3), mask (240,), set-point (1,)."""
    last = record.last[second]
    amps = np.zeros((geometry.SAMPLES, geometry.PHASES), np.float32)
    mask = np.zeros(geometry.SAMPLES, np.float32)
    low, high = max(last - geometry.SAMPLES + 1, 0), min(last + 1, len(record.mask))
    at = slice(geometry.SAMPLES - 1 - last + low, geometry.SAMPLES - 1 - last + high)
    amps[at], mask[at] = record.amps[low:high], record.mask[low:high]
    seen = np.flatnonzero(record.mask[low:high])
    set_point = record.set_point[low + seen[-1]] if len(seen) else 0
    return amps, mask, np.array([set_point], np.float32)


class Windows(keras.utils.PyDataset):
    """Batches for Product.fit; one epoch is `steps` batches.

    x: frames (B,M,64,64,3) uint8, background (B,M,64,64,1), frame_index (B,M) 0…15,
    frame_seen (B,M), current (B,240,3), sample_mask (B,240), set_point (B,1) and
    augment.draw()'s settings; y: label (B,1), spot (B,M,64).
    """

    def __init__(self, batches, config, steps, seed):
        super().__init__(workers=1)
        self.batches, self.config, self.steps = batches, config, steps
        self.seed = seed
        self.tracks = [background.tracks(b) for b in batches]
        self.seconds = [self._by_class(b, c) for c in (0, 1) for b in batches]
        if not all(sum(map(len, self._of_class(c))) for c in (0, 1)):
            raise ValueError("the training batches hold only one class; name batches of both in train.json")

    def _by_class(self, batch, label):
        seconds = np.flatnonzero(batch.label == label)
        return seconds[seconds >= EARLIEST]

    def _of_class(self, label):
        n = len(self.batches)
        return self.seconds[label * n : (label + 1) * n]

    def __len__(self):
        return self.steps

    def __getitem__(self, step):
        # A generator a step, so the order in which steps are asked for is no matter.
        rng = np.random.default_rng((self.seed, step))
        b, m = self.config.windows, self.config.frames
        size = geometry.SIZE
        x = augment.draw(rng, b, m) | {
            "frames": np.zeros((b, m, size, size, 3), np.uint8),
            "background": np.zeros((b, m, size, size, 1), np.float32),
            "frame_index": np.zeros((b, m), np.int32),
            "frame_seen": np.zeros((b, m), np.float32),
            "current": np.zeros((b, geometry.SAMPLES, geometry.PHASES), np.float32),
            "sample_mask": np.zeros((b, geometry.SAMPLES), np.float32),
            "set_point": np.zeros((b, 1), np.float32),
        }
        y = {"label": (np.arange(b) % 2).astype(np.float32)[:, None],
             "spot": np.zeros((b, m, 64), np.float32)}
        for i in range(b):
            self._fill(rng, {k: v[i] for k, v in x.items()}, {k: v[i] for k, v in y.items()})
        return x, y

    def _fill(self, rng, x, y):
        """One window of the class in y, written into the rows of x and y."""
        n, second = self._draw(rng, int(y["label"][0]))
        batch = self.batches[n]
        with_current, with_video = augment.drop_sense(rng, self.config.drop_sense)
        # One sense may run a little late against the other.
        shifted = np.clip(second + rng.integers(-1, 2), 0, len(batch.label) - 1)
        record = batch.currents[rng.integers(len(batch.currents))]
        amps, mask, set_point = current_window(record, shifted)
        augment.current(rng, amps, mask, set_point)
        x["current"][:], x["sample_mask"][:] = amps, mask * with_current
        x["set_point"][:] = set_point
        self._fill_video(rng, x, y, n, second)
        x["frame_seen"] *= with_video

    def _draw(self, rng, label):
        seconds = self._of_class(label)
        at = rng.integers(sum(map(len, seconds)))
        for n, some in enumerate(seconds):
            if at < len(some):
                return n, some[at]
            at -= len(some)
        raise AssertionError("unreachable")

    def _fill_video(self, rng, x, y, n, second):
        batch, m = self.batches[n], self.config.frames
        slots, given = augment.seen_slots(rng, m)
        seconds = second - (geometry.FRAMES - 1) + slots
        index = np.where(seconds >= 0, batch.frame_at[np.maximum(seconds, 0)], -1)
        there = index >= 0
        frames = batch.frames[np.maximum(index, 0)]  # (M,64,64,3)
        maps = self._background(rng, n, np.maximum(seconds, 0))  # (M,64,64)
        spot = batch.spot[np.maximum(index, 0)].astype(np.float32).reshape(m, 8, 8)
        if rng.random() < 0.5:
            frames, maps, spot = frames[:, :, ::-1], maps[:, :, ::-1], spot[:, :, ::-1]
        by = rng.integers(-2, 3, 2)
        x["frames"][:] = np.roll(frames, by, (1, 2))
        x["background"][:] = np.roll(maps, by, (1, 2))[..., None]
        x["frame_index"][:] = slots
        # Now and then a frame is lost.
        x["frame_seen"][:] = there & given & (rng.random(m) > 0.05)
        spot = spot.reshape(m, 64) * there[:, None]
        y["spot"][:] = spot / np.maximum(spot.sum(axis=1, keepdims=True), 1)

    def _background(self, rng, n, seconds):
        """What the background may have been at these seconds: (M,64,64)."""
        tracks, kind = self.tracks[n], rng.random()
        if kind < 0.15:  # a fresh start, not long ago
            start = max(seconds[-1] - rng.integers(0, 60), 0)
            index = self.batches[n].frame_at[start]
            if index >= 0:
                return np.repeat(background.grey(self.batches[n].frames[index])[None], len(seconds), 0)
        back = rng.integers(0, 300) if kind > 0.85 else 0  # stood still without need
        track = 1 if 0.15 <= kind < 0.35 else 0
        return tracks[track, np.maximum(seconds - back, 0) // background.STRIDE].astype(np.float32)

"""Training windows: drawn at random, balanced by class, augmented.

A window ends at a labelled second. The sampler alternates between the classes and draws a
second of the class from any batch, then one of the batch's currents: the one recorded with
the video, or the same course with other noise, so that no current can be memorised.
PixelWindows carry frames, for the tokenizers; TokenWindows carry the tokens that frozen
tokenizers made of the frames (cache.py).
"""

import keras
import numpy as np

from . import augment, background, current_baselines, lookalike, records, window
from .window import FRAME_TOKENS, TRAIL, current_window

EARLY = 30  # seconds after a change of the label in which a window shows little of the new state
EARLIEST = 15  # seconds of record before the first window, as in service


class OneClass(ValueError):
    """Batches of which all seconds have one label."""


# What tells a network of the senses as a pair, in TokenWindows and JointWindows.
PAIR = {"own_current": ((window.SAMPLES, window.PHASES), np.float32), "own_mask": ((window.SAMPLES,), np.float32),
        "own_set_point": ((1,), np.float32)}
BOTH = {"there": ((1,), np.float32), "paired": ((1,), np.float32)} | PAIR
LATEST = 6  # greatest lag of one sense against the other, in samples


# Threads that make batches ahead. With one, Keras leaves that to tf.data, and an epoch was measured to end only 2.6, 5.1, 10.2 … s
# after its start, when tf.data's tuning thread wakes: it lasts up to twice as long as its steps.
AHEAD = 2


class Windows(keras.utils.PyDataset):
    """Base of both kinds: draws the windows of a batch. An epoch is `steps` batches."""

    def __init__(self, batches, config, steps, seed):
        super().__init__(workers=AHEAD)
        self.batches, self.config, self.steps, self.seed = batches, config, steps, seed
        self.seconds = [[self._seconds(b, c) for b in batches] for c in (0, 1)]
        self.ends = [np.cumsum([len(s) for s in seconds]) for seconds in self.seconds]
        self.baselines = [current_baselines.tracks(b) for b in batches] if config.current_baseline else None
        if not all(ends[-1] for ends in self.ends):
            raise OneClass("the training batches contain only one class; name batches of both in train.json")

    def _seconds(self, batch, label):
        """Seconds of a class at which a window may end; those soon after a change of the label are repeated."""
        seconds = np.flatnonzero(batch.label == label)
        seconds = seconds[seconds >= EARLIEST]
        changed = np.flatnonzero(np.diff(batch.label) != 0) + 1
        before = np.searchsorted(changed, seconds, side="right") - 1
        early = (before >= 0) & (seconds - changed[np.maximum(before, 0)] < EARLY) if len(changed) else np.zeros(len(seconds), bool)
        return np.sort(np.concatenate([seconds, np.repeat(seconds[early], self.config.early - 1)]))

    def __len__(self):
        return self.steps

    def draw(self, rng, label):
        """A random second of a class: its batch's number and the second."""
        at = rng.integers(self.ends[label][-1])
        n = int(np.searchsorted(self.ends[label], at, side="right"))
        before = self.ends[label][n] - len(self.seconds[label][n])
        return n, int(self.seconds[label][n][at - before])

    def drawn(self, rng):
        """The seconds of a batch's rows, alternating between the classes; with config.views those of the second half are the first's."""
        b = self.config.windows
        half = b // 2 if self.config.views else b
        found = [self.draw(rng, i % 2) for i in range(half)]
        return [found[i % half] for i in range(b)]

    def lag(self, n, k):
        """Seconds by which current k of batch n is stamped later than the video."""
        return self.batches[n].lags[k]

    def fill_current(self, rng, x, n, second):
        """Writes the current of a window into the rows of x; returns its number, and whether the video is kept too."""
        batch = self.batches[n]
        with_current, with_video = augment.drop_sense(rng, self.config.drop_sense)
        own = len(batch.currents) == 1 or rng.random() < self.config.own_current
        k = 0 if own else rng.integers(1, len(batch.currents))
        late = 0 if rng.random() >= self.config.late else rng.integers(-LATEST, LATEST + 1)
        shift = lambda k: round(self.lag(n, k) * window.SAMPLE_HZ)
        amps, mask, set_point = current_window(batch.currents[k], second, shift(k) + late)
        augment.current(rng, amps, mask, set_point, self.config.odd_sampling)
        x["current"][:], x["sample_mask"][:], x["set_point"][:] = amps, mask * with_current, set_point
        self.fill_baseline(rng, x, n, k, second)
        x["there"][:] = with_current & with_video
        x["paired"][:] = own and late == 0
        known = current_window(batch.currents[0], second, shift(0))
        for name, value in zip(PAIR, known, strict=True):
            x[name][:] = value
        return k, with_video

    def fill_baseline(self, rng, x, n, k, second):
        """Writes a plausible baseline of current k of batch n, for a network that has one."""
        if self.baselines:
            x["current_baseline"][:] = current_baselines.drawn(rng, self.baselines[n][k], second)

    def fill_own(self, rng, x, n, second):
        """Writes a window of any current of batch n into the rows of x; returns the current's record."""
        k = rng.integers(len(self.batches[n].currents))
        record = self.batches[n].currents[k]
        amps, mask, set_point = current_window(record, second)
        augment.current(rng, amps, mask, set_point, self.config.odd_sampling)
        x["current"][:], x["sample_mask"][:], x["set_point"][:] = amps, mask, set_point
        self.fill_baseline(rng, x, n, k, second)
        return record

    def empty(self, more, size=None):
        """Zeros for a batch, of config.windows or of another size; more: name → shape and type of further inputs."""
        b = size or self.config.windows
        shapes = {"current": ((window.SAMPLES, window.PHASES), np.float32),
                  "sample_mask": ((window.SAMPLES,), np.float32), "set_point": ((1,), np.float32)} | more
        if self.baselines:
            shapes["current_baseline"] = ((current_baselines.SPANS + 1,), np.float32)
        return {k: np.zeros((b, *shape), kind) for k, (shape, kind) in shapes.items()}


class CurrentWindows(Windows):
    """Batches of the current alone: x has current (B,240,3), sample_mask (B,240), set_point (B,1) and, for a network that
    has one, current_baseline (B,4); y has label and shows (B,1), whether the current shows the label.
    """

    def __init__(self, batches, config, steps, seed, size):
        super().__init__(batches, config, steps, seed)
        self.size = size

    def __getitem__(self, step):
        rng = np.random.default_rng((self.seed, step))
        x, y = self.empty({}, self.size), {k: np.ones((self.size, 1), np.float32) for k in ("label", "shows")}
        for i in range(self.size):
            n, second = self.draw(rng, i % 2)
            record = self.fill_own(rng, {name: v[i] for name, v in x.items()}, n, second)
            y["label"][i], y["shows"][i] = i % 2, shows(self.batches[n], record, second)[0]
        return x, y


class PixelWindows(Windows):
    """Batches for the unimodal network.

    x: frames (B,M,64,64,3) uint8, background (B,M,64,64,1), frame_index (B,M) 0…15,
    frame_seen (B,M), current (B,240,3), sample_mask (B,240), set_point (B,1) and
    augment.draw()'s settings; y: label (B,1), spot (B,M,64), stir (B,M,2): what the
    current recorded with the video did just before each frame, and whether this is known.

    lags: name → seconds by which the current is stamped later than the video.
    """

    def __init__(self, batches, config, steps, seed, lags=None, tracks=None):
        """tracks: those of earlier windows of the same batches and the same normalisation, which take minutes."""
        super().__init__(batches, config, steps, seed)
        self.space, self.lags = background.SPACES[config.normalisation], lags or {}
        self.tracks = tracks or [background.tracks(b, self.space) for b in batches]
        self.stirs = [stir_of(b.currents[0], self.lags.get(b.name, 0.0)) for b in batches]

    def blank(self, rng, more=None):
        """A batch's x and y with the augmentation drawn and all else to be filled."""
        b, m, size = self.config.windows, self.config.frames, window.SIZE
        x = augment.draw(rng, b, m, self.space.lamp if self.config.wide else None) | self.empty({
            "frames": ((m, size, size, 3), np.uint8), "background": ((m, size, size, 1), np.float32),
            "frame_index": ((m,), np.int32), "frame_seen": ((m,), np.float32)} | (more or {}))
        y = {"label": (np.arange(b) % 2).astype(np.float32)[:, None],
             "shows": np.ones((b, 2), np.float32),
             "spot": np.zeros((b, m, 64), np.float32), "stir": np.zeros((b, m, 2), np.float32)}
        return x, y

    def __getitem__(self, step):
        # A generator for each step, so that the order of requests does not matter.
        rng = np.random.default_rng((self.seed, step))
        x, y = self.blank(rng)
        for i in range(self.config.windows):
            self._fill(rng, {k: v[i] for k, v in x.items()}, {k: v[i] for k, v in y.items()})
        return x, y

    def _fill(self, rng, x, y):
        """Writes one window of the class in y into the rows of x and y."""
        n, second = self.draw(rng, int(y["label"][0]))
        record = self.fill_own(rng, x, n, second)
        y["shows"][:] = shows(self.batches[n], record, second)
        self._fill_video(rng, x, y, n, second)

    def _fill_video(self, rng, x, y, n, second):
        batch, m = self.batches[n], self.config.frames
        slots, given = augment.seen_slots(rng, m)
        seconds = second - (window.FRAMES - 1) + slots
        index = np.where(seconds >= 0, batch.frame_at[np.maximum(seconds, 0)], -1)
        there = index >= 0
        frames = batch.frames[np.maximum(index, 0)]  # (M,64,64,3)
        maps = background.drawn(rng, batch, self.tracks[n], np.maximum(seconds, 0), self.space)  # (M,64,64)
        if self.config.lookalike and rng.random() < self.config.lookalike:
            frames, maps = self._with_lookalike(rng, frames, maps)
        spot = batch.spot[np.maximum(index, 0)].astype(np.float32).reshape(m, 8, 8)
        if rng.random() < 0.5:
            frames, maps, spot = frames[:, :, ::-1], maps[:, :, ::-1], spot[:, :, ::-1]
        by = rng.integers(-2, 3, 2)
        x["frames"][:] = np.roll(frames, by, (1, 2))
        x["background"][:] = np.roll(maps, by, (1, 2))[..., None]
        x["frame_index"][:] = slots
        # Frames are lost at random.
        x["frame_seen"][:] = there & given & (rng.random(m) > 0.05)
        spot = spot.reshape(m, 64) * there[:, None]
        y["spot"][:] = spot / np.maximum(spot.sum(axis=1, keepdims=True), 1)
        y["stir"][:] = self.stirs[n][np.maximum(seconds, 0)] * x["frame_seen"][:, None]

    def _with_lookalike(self, rng, frames, maps):
        """The frames and maps with the glow of a random abnormal second, or as they were if that second shows none."""
        n, second = self.draw(rng, 1)
        donor, at = self.batches[n], self.batches[n].frame_at[second]
        if at < 0 or not donor.spot[at].any():
            return frames, maps
        return lookalike.paste(rng, frames, maps, self.space, donor.frames[at], donor.spot[at])


class JointWindows(PixelWindows):
    """Batches for any network that is trained together with its tokenizers.

    x and y: those of PixelWindows, with the senses dropped, delayed and paired as in
    TokenWindows, of which x has there, paired and own_… too.
    """

    def lag(self, n, k):
        name = self.batches[n].name
        return self.lags.get(f"{name}_r{k}" if k else name, 0.0)

    def __getitem__(self, step):
        rng = np.random.default_rng((self.seed, step))
        x, y = self.blank(rng, BOTH)
        for i, (n, second) in enumerate(self.drawn(rng)):
            row, batch = {k: v[i] for k, v in x.items()}, self.batches[n]
            y["label"][i] = batch.label[second]
            k, with_video = self.fill_current(rng, row, n, second)
            y["shows"][i] = shows(batch, batch.currents[k], second)
            self._fill_video(rng, row, {k: v[i] for k, v in y.items()}, n, second)
            row["frame_seen"] *= with_video
        return x, y


def shows(batch, record, second):
    """Whether the current and the video show the state of a second, 1 or 0 each; 1 where unknown.

    Only an abnormal state can fail to show.
    """
    abnormal = batch.label[second] == 1
    return [0.0 if abnormal and blind is not None and blind[second] else 1.0 for blind in (record.blind, batch.hidden)]


def stir_of(record, lag):
    """The change of the current over the last 2 s, at every second of the video: (S,2) log(1 + 60 · |ΔI| / set-point), known."""
    step, both = records.changes_of(record)
    total, known = (np.convolve(v, np.ones(TRAIL))[: len(v)] for v in (step * both, both))
    at = record.last + round(lag * window.SAMPLE_HZ)
    inside = (at >= TRAIL) & (at < len(step))
    at = np.clip(at, 0, len(step) - 1)
    value = np.log1p(60 * total[at] / np.maximum(known[at], 1))
    return np.stack([value, inside & (known[at] == TRAIL)], axis=1).astype(np.float32)


class TokenWindows(Windows):
    """Batches of cache.Tokenized, for all other networks.

    x: tokens (B,16,4,D), frame_mask (B,16), current (B,240,3), sample_mask (B,240),
    set_point (B,1), there (B,1) whether both senses are present, paired (B,1) whether they
    were recorded together and share one clock; own_current (B,240,3), own_mask and
    own_set_point of the current recorded with the frames, on their clock, even if the window
    shows another current; y: label (B,1). With config.views row i + B/2 is another view of
    row i: the same second under other augmentations.
    """

    def __getitem__(self, step):
        rng = np.random.default_rng((self.seed, step))
        b, dim = self.config.windows, self.config.dim
        x = self.empty({"tokens": ((window.FRAMES, FRAME_TOKENS, dim), np.float32), "frame_mask": ((window.FRAMES,), np.float32)} | BOTH)
        y = {"label": np.zeros((b, 1), np.float32), "shows": np.ones((b, 2), np.float32)}
        for i, (n, second) in enumerate(self.drawn(rng)):
            batch = self.batches[n]
            k = self._fill(rng, {k: v[i] for k, v in x.items()}, n, second)
            y["label"][i] = batch.label[second]
            y["shows"][i] = shows(batch, batch.currents[k], second)
        return x, y

    def _fill(self, rng, x, n, second):
        """Writes a window that ends at a second of batch n into the rows of x; returns the number of its current."""
        batch = self.batches[n]
        k, with_video = self.fill_current(rng, x, n, second)
        _, given = augment.seen_slots(rng, window.FRAMES)
        seconds = np.arange(second - window.FRAMES + 1, second + 1)
        x["tokens"][:] = batch.tokens[rng.integers(len(batch.tokens)), np.maximum(seconds, 0)]
        seen = (seconds >= 0) & batch.seen[np.maximum(seconds, 0)] & given
        if rng.random() < 0.3:  # few or many frames are lost
            seen &= rng.random(window.FRAMES) > rng.choice([0.1, 0.4])
        if rng.random() < 0.1:  # a delayed video leaves the newest slots empty
            seen[-rng.integers(1, 6) :] = False
        x["frame_mask"][:] = seen * with_video
        return k

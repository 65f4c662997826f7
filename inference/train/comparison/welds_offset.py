"""The offset between video and current of a weld: curves over shifts, the answer, what is known.

A reading tells how well frames first … last − 1 match the current at each of SHIFTS, in
samples: positive where the current that matches comes later. Delaying the current by s
samples moves a reading's curve by s, because each sample's features stem from the current
around it alone; so an injected shift is read off the same features (tests hold this against
records that are delayed indeed).

An estimator is judged by its own answer on the whole weld, because the records' own zero is
wrong by up to 0.8 s: a stretch is right if its answer lies within NEAR samples of the
weld's answer and the injected shift.
"""

import numpy as np

from ..data import welds

MOST = 20  # samples: the 0.8 s by which a record is off
SHIFTS = np.arange(-MOST, MOST + 1)
NEAR = 2  # samples
INJECTED = (-6, -4, -2, 0, 2, 4, 6)  # samples: ±0.24 s, as ±3 s at a furnace
LENGTHS = (5, 10, 20)  # seconds of a stretch
MARGIN = MOST + max(INJECTED)  # samples that a reading needs beside a stretch
WIDE = np.arange(-MARGIN, MARGIN + 1)
ASIDE = 3  # samples from the best within which a second peak is the same one
FEATURES = ("height", "gap", "halves", "thirds", "readings")  # of a curve, see features


class Correlation:
    """A linear reading: correlation of the current that frames show, (2T,), with the current, (2T,)."""

    def __init__(self, shown, current):
        self.shown, self.current = np.asarray(shown, float), np.asarray(current, float)

    def displaced(self):
        """The reading of frames that meet the current of another time, which no shift can match."""
        return Correlation(self.shown, np.roll(self.current, len(self.current) // 2))

    def curve(self, first, last, late=0):
        a, b = welds.PER_FRAME * first, welds.PER_FRAME * last
        x = self.shown[a:b] - self.shown[a:b].mean()                       # (n,)
        y = self.current[np.arange(a, b)[None] + (SHIFTS - late)[:, None]]  # (41,n)
        y = y - y.mean(1, keepdims=True)
        return y @ x / np.sqrt((y * y).sum(1) * (x @ x) + 1e-12)


class Codes:
    """A local loss: log attention of frames to codes (T,U), and each sample's share of the codes (2T,U).

    The curve is the negative of the local loss at each shift, less that of the stretch's
    mean attention (codebook.shifted_loss). Sums over frames are differences of running sums.
    """

    def __init__(self, log_attention, share):
        self.log_attention, self.share = np.asarray(log_attention, float), np.asarray(share, float)
        frames = np.arange(len(log_attention))
        told = [np.einsum("tu,tu->t", self.log_attention, self.share[inside(welds.PER_FRAME * frames + s, len(share))]) for s in WIDE]
        self.told = running(np.stack(told, axis=1))                        # (T+1,53)
        self.attention = running(np.exp(self.log_attention))               # (T+1,U)
        self.shares = [running(self.share[parity::2]) for parity in (0, 1)]  # (T+1,U) twice

    def displaced(self):
        return Codes(self.log_attention, np.roll(self.share, len(self.share) // 2, axis=0))

    def curve(self, first, last, late=0):
        wanted = SHIFTS - late
        mean = np.log((self.attention[last] - self.attention[first]) / (last - first) + 1e-12)  # (U,)
        told = (self.told[last] - self.told[first])[wanted - WIDE[0]]      # (41,)
        half, parity = wanted // 2, wanted % 2
        number = np.stack([self.shares[p][last + h] - self.shares[p][first + h] for h, p in zip(half, parity, strict=True)])  # (41,U)
        return (told - number @ mean) / (last - first)


class Similarities:
    """Cosines of windows' projections: video of a frame (T,Q,D) to current that ends at a frame (T,D), the greatest over Q.

    Odd shifts are means of their neighbours.
    """

    def __init__(self, video, current):
        self.video, self.current = video, current
        frames = np.arange(len(video))
        self.even = np.arange(WIDE[0] - WIDE[0] % 2, WIDE[-1] + 2, welds.PER_FRAME)
        each = [np.einsum("tqd,td->tq", video, current[inside(frames + s // 2, len(current))]).max(1) for s in self.even]
        self.told = running(np.stack(each, axis=1))                        # (T+1,28)

    def displaced(self):
        return Similarities(self.video, np.roll(self.current, len(self.current) // 2, axis=0))

    def curve(self, first, last, late=0):
        return np.interp(SHIFTS - late, self.even, (self.told[last] - self.told[first]) / (last - first))


class Together:
    """Several readings of one weld, each curve in units of its own spread."""

    def __init__(self, readings):
        self.readings = readings

    def displaced(self):
        return Together([r.displaced() for r in self.readings])

    def curves(self, first, last, late=0):
        each = np.stack([r.curve(first, last, late) for r in self.readings])
        return (each - each.mean(1, keepdims=True)) / (each.std(1, keepdims=True) + 1e-12)

    def curve(self, first, last, late=0):
        return self.curves(first, last, late).mean(0)


def running(x):
    """Sums of the first 0 … T rows: (T+1,…)."""
    return np.concatenate([np.zeros((1, *x.shape[1:])), np.cumsum(x, axis=0)])


def inside(index, length):
    return np.clip(index, 0, length - 1)


def answer(curve):
    """The shift of a curve's greatest value."""
    return int(SHIFTS[int(np.argmax(curve))])


def own(reading, weld):
    """The weld's own answer and its curve (41,)."""
    curve = reading.curve(*welds.inner(weld, MARGIN))
    return answer(curve), curve


def features(reading, first, last, late):
    """A stretch's answer, and what its curve tells of its own worth, see FEATURES.

    The height of its peak and the lead over the best other peak, both in units of the
    curve's own spread; the share of halves, of thirds, and of the readings that make up the
    curve, that give the same answer.
    """
    curve = reading.curve(first, last, late)
    best = int(np.argmax(curve))
    spread = max(float(np.std(curve)), 1e-12)
    others = np.abs(np.arange(len(curve)) - best) > ASIDE
    height = (curve[best] - np.median(curve)) / spread
    gap = (curve[best] - curve[others].max()) / spread
    same = lambda curves: float(np.mean([abs(answer(c) - SHIFTS[best]) <= NEAR for c in curves]))
    agree = [same([reading.curve(a, b, late) for a, b in parts(first, last, n)]) for n in (2, 3)]
    members = same(reading.curves(first, last, late)) if isinstance(reading, Together) else 1.0
    return int(SHIFTS[best]), [round(float(v), 4) for v in (height, gap, *agree, members)]


def parts(first, last, count):
    edges = np.linspace(first, last, count + 1).round().astype(int)
    return list(zip(edges[:-1], edges[1:], strict=True))


def assess(reading, weld):
    """The weld's own answer, its curve, and for each length every stretch's [error in samples, features].

    strangers holds the features alone of the same stretches with the current of another time.
    """
    mine, curve = own(reading, weld)
    displaced = reading.displaced()
    # A shift that would carry the weld's own answer beyond the curve cannot be found by anyone.
    possible = [s for s in INJECTED if abs(mine + s) <= MOST]
    found, strangers = {}, {}
    for seconds in LENGTHS:
        each, other = [], []
        for n, (first, last) in enumerate(welds.stretches(weld, seconds, MARGIN)):
            late = possible[n % len(possible)]
            told, measured = features(reading, first, last, late)
            each.append([told - late - mine, *measured])
            other.append(features(displaced, first, last, late)[1])
        found[str(seconds)], strangers[str(seconds)] = each, other
    return {"own": mine, "curve": [round(float(v), 5) for v in curve], "stretches": found, "strangers": strangers}


def found_right(each):
    """Which stretches are right: (N,) bool."""
    return np.abs(np.array([e[0] for e in each], float).reshape(-1)) <= NEAR

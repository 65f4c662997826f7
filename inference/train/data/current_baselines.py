"""The slow baseline of the current at every second, computed along the record in advance.

In service the baseline passes from call to call and is kept while p_abnormal is high. As for the
background of the frames (background.py), training draws it from two tracks: one stops while the label
is abnormal, as under a good model, and one never stops. models/current_baseline.py says what it is.
"""

import numpy as np

from . import window

SPANS = 3
SPAN_SECONDS = (30, 45, 120)  # of tokenizers.CurrentTokens.SPANS
RISE_SECONDS = 300.0  # where the current is livelier than usual
FALL_SECONDS = 900.0  # where it is quieter
TRUSTED_SECONDS = 120.0  # of work, after which the baseline is fully believed
LEAST_SHARE = 0.3  # of a whole window's samples, for a second to count
LEAST_LEVEL = -0.5  # of the current of the shortest span, relative to its set-point, − 1
MOST_DROPPED = 0.05  # of the longest span's samples: more, and the furnace has stopped or a phase was lost for long
DROP = -0.4  # relative current, − 1, under which a sample counts as dropped; a lively arc falls so low about once a minute
NEEDED = 8  # samples of a span
STRIDE = 5  # seconds between stored states
NOISE = 0.05  # of the deviations, in training


def deviations(record):
    """log CV + 2.75 of each span at every second (S,3), which hold enough samples (S,3), and whether the furnace works (S,).

    As CurrentTokens.span_features computes it, for a set-point that does not change.
    """
    known = record.mask > 0
    points = record.set_point[known & (record.set_point > 0)]
    level = max(float(np.median(points)) if len(points) else float(record.amps[known].mean()) if known.any() else 1.0, 100.0)
    r = np.clip(record.amps / level - 1, -1, 2) * known[:, None]           # (G,3)
    drops = ((r < DROP) & known[:, None]).mean(axis=1)                     # (G,)
    total = lambda v: np.concatenate([np.zeros((1, *v.shape[1:])), np.cumsum(v, axis=0, dtype=np.float64)])
    sums, squares, counts, dropped = total(r), total(r * r), total(known.astype(float)), total(drops)
    high = np.clip(record.last, -1, len(known) - 1) + 1                    # (S,)
    out, enough, levels = [], [], []
    for seconds in SPAN_SECONDS:
        low = np.maximum(high - window.SAMPLE_HZ * seconds, 0)
        count = counts[high] - counts[low]                                 # (S,)
        mean = (sums[high] - sums[low]) / np.maximum(count, 1)[:, None]    # (S,3)
        variance = np.maximum((squares[high] - squares[low]) / np.maximum(count, 1)[:, None] - mean**2, 0)
        cv = np.sqrt(variance + 1e-8) / np.maximum(mean + 1, 0.05)
        out.append(np.log(cv + 1e-3).mean(axis=1) + 2.75)
        enough.append(count >= NEEDED)
        levels.append(mean.mean(axis=1))
    share = (dropped[high] - dropped[low]) / np.maximum(count, 1)          # of the longest span
    works = (count / window.SAMPLES >= LEAST_SHARE) & (share <= MOST_DROPPED) & (levels[0] > LEAST_LEVEL)
    return np.stack(out, axis=1).astype(np.float32), np.stack(enough, axis=1), works


def tracks(batch):
    """The stopping and the following baseline of every current: (K, 2, S/STRIDE, 4) float32."""
    found = [deviations(c) for c in batch.currents]
    deviation = np.stack([d for d, _, _ in found])                         # (K,S,3)
    enough, works = np.stack([e for _, e, _ in found]), np.stack([w for _, _, w in found])  # (K,S,3), (K,S)
    seconds = len(batch.label)
    kept = np.zeros((len(found), 2, (seconds + STRIDE - 1) // STRIDE, SPANS + 1), np.float32)
    usual, counted = np.zeros((len(found), 2, SPANS), np.float32), np.zeros((len(found), 2), np.float32)
    for s in range(seconds):
        if s % STRIDE == 0:
            kept[:, :, s // STRIDE, :SPANS], kept[:, :, s // STRIDE, SPANS] = usual, counted
        moves = works[:, s, None] * np.array([batch.label[s] != 1, True])  # (K,2)
        counted = counted + moves
        difference = deviation[:, s, None] - usual                         # (K,2,3)
        gain = np.maximum(1 / np.maximum(counted, 1)[..., None], np.where(difference > 0, 1 / RISE_SECONDS, 1 / FALL_SECONDS))
        usual = usual + moves[..., None] * enough[:, s, None] * gain * difference
        counted = np.minimum(counted, FALL_SECONDS)
    return kept


def drawn(rng, kept, second):
    """A random plausible baseline at a second: (4,). kept: tracks() of one current, (2,S/STRIDE,4)."""
    kind = rng.random()
    if kind < 0.15:  # a start, or a model that has just been loaded
        return np.zeros(SPANS + 1, np.float32)
    back = rng.integers(0, 300) if kind > 0.85 else 0  # kept without cause
    out = kept[1 if kind < 0.35 else 0, max(second - back, 0) // STRIDE].copy()
    if kind > 0.75:  # a start some time ago
        out[SPANS] = min(out[SPANS], rng.integers(1, 240))
    if out[SPANS]:
        out[:SPANS] += rng.normal(0, NOISE, SPANS)
    return out

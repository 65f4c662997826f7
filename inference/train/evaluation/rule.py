"""The plant's own rule: a quiet current is the abnormal one.

CV is std / mean of each phase over the last seconds, averaged over the phases. The
furnace is abnormal while CV is below a level. The agent falls back on this rule when the
model does not answer (agent/decide).
"""

import numpy as np

from ..data import window

# Spans in seconds, and the least share of a span's samples for a valid CV.
ENOUGH = {120: 0.75, 45: 0.9}


def variation(record, seconds):
    """CV over the last `seconds` at every second: (S,), NaN where too many samples are missing."""
    n = seconds * window.SAMPLE_HZ
    mask = record.mask[:, None].astype(float)
    sums = [_running(v, n) for v in (mask, record.amps * mask, record.amps.astype(float) ** 2 * mask)]
    count = np.maximum(sums[0], 1)
    mean = sums[1] / count
    deviation = np.sqrt(np.maximum(sums[2] / count - mean**2, 0))
    cv = (deviation / np.maximum(mean, 1)).mean(axis=1)
    cv[sums[0][:, 0] < ENOUGH[seconds] * n] = np.nan
    last = np.clip(record.last, 0, len(cv) - 1)
    return np.where(record.last >= 0, cv[last], np.nan)


def level(normal, seconds, allowed):
    """The greatest level that only `allowed` batches undercut in normal seconds, rounded down."""
    least = sorted(float(np.min(v)) for v in (_normal(b, seconds) for b in normal) if len(v))
    if not least:
        raise ValueError(f"no batch of the normal hours has {seconds} s of current at a normal second; add longer records")
    return float(np.floor(least[min(allowed, len(least) - 1)] * 1e4) / 1e4)


def _normal(batch, seconds):
    cv = variation(batch.currents[0], seconds)
    return cv[(batch.label == 0) & np.isfinite(cv)]


def _running(values, n):
    """Sum of the last n rows at every row."""
    total = np.cumsum(values, axis=0)
    out = total.copy()
    out[n:] -= total[:-n]
    return out

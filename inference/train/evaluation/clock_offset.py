"""The clock offset between the senses, as the local loss of a network shows it."""

import numpy as np

from ..data import window
from ..models.closed_loop import Compiled
from .batched import CHUNK, windows_of
from ..models.codebook import SHIFTS

EVENT_AMPS = 3000.0  # change from sample to sample that shows in both senses
STRETCH = 120  # seconds, of which an event's windows are pooled
HOP = 2  # seconds from window to window within a stretch; the agent judges each second
DIP_S = 1.5  # a loss counts by how far it lies under those so far to both sides, see dip
POOLS = {120: 1, 480: 4}  # seconds of pooled windows → stretches; the agent pools 480
OFFSETS = (-3, -2, -1, 0, 1, 2, 3)  # seconds by which the current is taken later


def offset_curves(losses, batch, injected):
    """Mean local loss by shift of every 120 s of a batch that hold an event: (stretches,21).

    losses: step's inputs → local loss at every shift (N,21). injected: seconds by
    which the current is taken later than its true place.
    """
    late = round((batch.lags[0] + injected) * window.SAMPLE_HZ)
    seconds = np.arange(STRETCH, len(batch.label), HOP)
    curve, each = losses(windows_of(batch, seconds, late)), STRETCH // HOP
    with_event = [curve[i : i + each].mean(0) for i in range(0, len(seconds) - each + 1, each)
                  if has_event(batch, seconds[i] - window.FRAMES, seconds[i + each - 1])]
    return np.array(with_event).reshape(-1, len(SHIFTS))


def found_offsets(model, val, test):
    """How well the local loss finds an injected offset.

    bias_s: by how much the deepest dip finds too much, median over validation batches,
    which the release takes off (release.py); within_1_s: pool in seconds → injected
    offset → share of the test batches' pools found within ±1 s, the bias taken off;
    by_least_loss: pool → the same share of all offsets by the least loss and its own
    bias, as AlignVSR's local loss is read without more ado; curves: mean loss by shift.
    """
    step = Compiled(lambda *inputs: model.local_losses(model.infer(*inputs)))
    losses = lambda inputs: np.concatenate([step.predict_on_batch([v[i : i + CHUNK] for v in inputs.values()])
                                            for i in range(0, len(inputs["set_point"]), CHUNK)])
    known = np.concatenate([offset_curves(losses, b, 0) for b in val])
    bias, plain_bias = too_much(dip(known)), too_much(known)
    within, plain, curves, number = {p: {} for p in POOLS}, {p: [] for p in POOLS}, {}, {}
    for late in OFFSETS:
        each = [offset_curves(losses, b, late) for b in test]
        curves[str(late)] = [round(float(x), 4) for x in np.concatenate(each).mean(0)]
        for seconds, count in POOLS.items():
            pools = np.concatenate([pooled(c, count) for c in each])
            if not len(pools):  # records too short to pool so much
                continue
            number[seconds] = len(pools)
            within[seconds][str(late)] = round(share_found(dip(pools), late, bias), 4)
            plain[seconds].append(share_found(pools, late, plain_bias))
    return {"bias_s": round(bias, 3), "within_1_s": within, "pools": number,
            "by_least_loss": {p: round(float(np.mean(x)), 4) for p, x in plain.items() if x},
            "shifts": list(SHIFTS), "curves": curves}


def too_much(curves):
    """The median shift by which curves of records without an offset miss it; 0 where none shows any."""
    errors = offset_errors(curves, 0)
    return float(np.nanmedian(errors)) if np.isfinite(errors).any() else 0.0


def share_found(curves, injected, bias):
    """Share of curves that are least within ±1 s of where an injected offset puts it."""
    return float((np.abs(offset_errors(curves, injected) - bias) <= 1).mean())


def pooled(curves, count):
    """Means of `count` stretches in a row of one batch: (N,21) → (N // count,21)."""
    whole = len(curves) // count * count
    return curves[:whole].reshape(-1, count, curves.shape[1]).mean(1)


def offset_errors(curves, injected):
    """Seconds by which the shift at which each curve is least misses the injected offset; NaN at the edge."""
    # Current taken later matches frames at the opposite shift.
    return np.array([-least(c) - injected for c in curves])


def dip(curves):
    """How far each loss lies above the mean of those DIP_S to both sides: (N,21) → (N,21).

    Where the senses meet, the loss dips for 2 to 3 s. What else tells two shifts' losses
    apart changes slowly along the curve, as the furnace's state does, and goes away here.
    Beyond an end its own value goes on.

    DIP_S was chosen on validation batches, with the product's first seed: of offsets
    within ±2 s the least loss of 120 s finds 0.815 within ±1 s, the deepest dip with 1,
    1.5, 2 and 2.5 s finds 0.856, 0.880, 0.880 and 0.874; of offsets of ±4 s 0.699, and
    0.786, 0.765, 0.720 and 0.692.
    """
    aside = round(DIP_S / (SHIFTS[1] - SHIFTS[0]))
    wide = np.pad(curves, [(0, 0), (aside, aside)], mode="edge")
    return curves - (wide[:, : -2 * aside] + wide[:, 2 * aside :]) / 2


def has_event(batch, first, last):
    """Whether some phase's current changes by more than EVENT_AMPS in these seconds."""
    record = batch.currents[0]
    span = slice(max(record.last[first], 0), record.last[last] + 1)
    both = record.mask[span][1:] * record.mask[span][:-1]
    return bool((np.abs(np.diff(record.amps[span], axis=0)).max(1) * both > EVENT_AMPS).any())


def least(curve):
    """The shift at which a curve is least, between grid points by a parabola; NaN at the edge."""
    i = int(np.argmin(curve))
    if i in (0, len(curve) - 1):
        return float("nan")
    a, b, c = curve[i - 1 : i + 2]
    step = SHIFTS[1] - SHIFTS[0]
    return SHIFTS[i] + step * 0.5 * (a - c) / max(a - 2 * b + c, 1e-9)

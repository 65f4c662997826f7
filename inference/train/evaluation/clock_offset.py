"""The clock offset between the senses, estimated from a network's local loss."""

import numpy as np

from ..data import window
from ..models.closed_loop import Compiled
from ..models.codebook import SHIFTS
from .batched import CHUNK, windows_of

EVENT_AMPS = 3000.0  # change from sample to sample that is visible in both senses
STRETCH = 120  # seconds of a stretch, whose windows are pooled
HOP = 2  # seconds between windows of a stretch; the agent uses every second
DIP_S = 1.5  # distance in seconds to the losses that a loss is compared with, see dip
POOLS = {120: 1, 480: 4}  # seconds of pooled windows → stretches; the agent pools 480
OFFSETS = (-3, -2, -1, 0, 1, 2, 3)  # seconds by which the current is delayed


def offset_curves(losses, batch, injected):
    """Mean local loss by shift of every stretch of 120 s with an event: (stretches,21).

    losses: inputs of step → local loss at every shift (N,21). injected: seconds by
    which the current is delayed.
    """
    late = round((batch.lags[0] + injected) * window.SAMPLE_HZ)
    seconds = np.arange(STRETCH, len(batch.label), HOP)
    curve, each = losses(windows_of(batch, seconds, late)), STRETCH // HOP
    with_event = [curve[i : i + each].mean(0) for i in range(0, len(seconds) - each + 1, each)
                  if has_event(batch, seconds[i] - window.FRAMES, seconds[i + each - 1])]
    return np.array(with_event).reshape(-1, len(SHIFTS))


def found_offsets(model, val, test, bias=None):
    """Measures how well the local loss finds an injected offset.

    bias_s: what the deepest dip finds too much, which the release subtracts
    (export/release.py): as given, or its median error on validation batches; within_1_s: pool in seconds → injected offset → share of
    the test batches' pools found within ±1 s after subtracting the bias; by_least_loss:
    pool → the same share over all offsets for the least loss with its own bias, the plain
    reading of AlignVSR's local loss; curves: mean loss by shift.
    """
    step = Compiled(lambda *inputs: model.local_losses(model.infer(*inputs)))
    losses = lambda inputs: np.concatenate([step.predict_on_batch([v[i : i + CHUNK] for v in inputs.values()])
                                            for i in range(0, len(inputs["set_point"]), CHUNK)])
    known = np.concatenate([offset_curves(losses, b, 0) for b in val])
    bias, plain_bias = too_much(dip(known)) if bias is None else bias, too_much(known)
    within, plain, curves, number = {p: {} for p in POOLS}, {p: [] for p in POOLS}, {}, {}
    for late in OFFSETS:
        each = [offset_curves(losses, b, late) for b in test]
        curves[str(late)] = [round(float(x), 4) for x in np.concatenate(each).mean(0)]
        for seconds, count in POOLS.items():
            pools = np.concatenate([pooled(c, count) for c in each])
            if not len(pools):  # records are too short for this pool
                continue
            number[seconds] = len(pools)
            within[seconds][str(late)] = round(share_found(dip(pools), late, bias), 4)
            plain[seconds].append(share_found(pools, late, plain_bias))
    return {"bias_s": round(bias, 3), "within_1_s": within, "pools": number,
            "by_least_loss": {p: round(float(np.mean(x)), 4) for p, x in plain.items() if x},
            "shifts": list(SHIFTS), "curves": curves}


def too_much(curves):
    """The median error of curves of records without an offset; 0 if no curve has a minimum."""
    errors = offset_errors(curves, 0)
    return float(np.nanmedian(errors)) if np.isfinite(errors).any() else 0.0


def share_found(curves, injected, bias):
    """Share of curves whose minimum is within ±1 s of the injected offset."""
    return float((np.abs(offset_errors(curves, injected) - bias) <= 1).mean())


def pooled(curves, count):
    """Means of `count` consecutive stretches of one batch: (N,21) → (N // count,21)."""
    whole = len(curves) // count * count
    return curves[:whole].reshape(-1, count, curves.shape[1]).mean(1)


def offset_errors(curves, injected):
    """Error of each curve's minimum against the injected offset in seconds; NaN at the edge."""
    # Delayed current matches frames at the opposite shift.
    return np.array([-least(c) - injected for c in curves])


def dip(curves):
    """Each loss less the mean of the losses DIP_S to both sides: (N,21) → (N,21).

    Where the senses match, the loss dips for 2 to 3 s. Other differences between shifts
    vary slowly along the curve, like the furnace's state, and cancel here. Beyond the ends
    the curve is extended by its end values.

    DIP_S was chosen on validation batches, with the product's first seed: for offsets
    within ±2 s the least loss of 120 s finds 0.815 within ±1 s, and the deepest dip with 1,
    1.5, 2 and 2.5 s finds 0.856, 0.880, 0.880 and 0.874; for offsets of ±4 s the least loss
    finds 0.699, and the dip 0.786, 0.765, 0.720 and 0.692.
    """
    aside = round(DIP_S / (SHIFTS[1] - SHIFTS[0]))
    wide = np.pad(curves, [(0, 0), (aside, aside)], mode="edge")
    return curves - (wide[:, : -2 * aside] + wide[:, 2 * aside :]) / 2


def has_event(batch, first, last):
    """Whether the current of any phase changes by more than EVENT_AMPS in these seconds."""
    record = batch.currents[0]
    span = slice(max(record.last[first], 0), record.last[last] + 1)
    both = record.mask[span][1:] * record.mask[span][:-1]
    return bool((np.abs(np.diff(record.amps[span], axis=0)).max(1) * both > EVENT_AMPS).any())


def least(curve):
    """The shift of a curve's minimum, interpolated by a parabola; NaN at the edge."""
    i = int(np.argmin(curve))
    if i in (0, len(curve) - 1):
        return float("nan")
    a, b, c = curve[i - 1 : i + 2]
    step = SHIFTS[1] - SHIFTS[0]
    return SHIFTS[i] + step * 0.5 * (a - c) / max(a - 2 * b + c, 1e-9)

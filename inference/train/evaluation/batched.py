"""Batch evaluation of any network over cached tokens: whole records, and robustness.

It is faster than streaming.py, which closes the loop through the background: the tokens
come from the closed loop of the unimodal network (training/encode.py), the same for every
network, and many windows are evaluated at once. The released model is evaluated by
streaming.py.
"""

from dataclasses import replace

import numpy as np

from ..data import window
from ..models import closed_loop
from . import streaming

CHUNK = 768  # windows at once
ENOUGH_CURRENT, ENOUGH_VIDEO = closed_loop.ENOUGH_CURRENT, closed_loop.ENOUGH_VIDEO


def windows_of(batch, seconds, shift=0, record=0):
    """The inputs of step at some seconds of a Tokenized batch; shift in samples, see window.current_window."""
    frames = np.asarray(seconds)[:, None] + np.arange(1 - window.FRAMES, 1)  # (N,16)
    held = np.maximum(frames, 0)
    return {
        "tokens": batch.tokens[0][held].astype(np.float32),
        "frame_mask": (batch.seen[held] & (frames >= 0)).astype(np.float32),
    } | currents_of(batch, seconds, shift, record)


def currents_of(batch, seconds, shift=0, record=0):
    """The same of the current alone."""
    current, seconds = batch.currents[record], np.asarray(seconds)
    index = current.last[seconds][:, None] + shift + np.arange(1 - window.SAMPLES, 1)  # (N,240)
    inside = (index >= 0) & (index < len(current.mask))
    index = np.clip(index, 0, len(current.mask) - 1)
    mask = current.mask[index] * inside
    newest = index[np.arange(len(index)), -1 - (mask[:, ::-1] > 0).argmax(1)]
    return {
        "current": np.where(mask[:, :, None] > 0, current.amps[index], 0).astype(np.float32),
        "sample_mask": mask.astype(np.float32),
        "set_point": np.where(mask.any(1), current.set_point[newest], 0).astype(np.float32)[:, None],
    }


def run(step, inputs):
    """Applies step to windows in chunks."""
    count = len(inputs["set_point"])
    parts = [step(*(v[i : i + CHUNK] for v in inputs.values())) for i in range(0, count, CHUNK)]
    return {k: np.concatenate([np.asarray(p[k]) for p in parts]) for k in parts[0]}


def without(inputs, sense):
    """The same windows with one sense masked."""
    key = {"current": "sample_mask", "video": "frame_mask"}[sense]
    return inputs | {key: 0 * inputs[key]}


def predict(step, batches, every, alone=0):
    """streaming.Predictions of every batch, with the probability held between steps.

    every: seconds between steps; alone: the same for each sense without the other, 0 for none.
    """
    return [_predict(step, b, every, alone) for b in batches]


def _predict(step, batch, every, alone):
    inputs = windows_of(batch, np.arange(0, len(batch.label), every))
    out = run(step, inputs)
    hold = lambda x, seconds=every: np.repeat(x, seconds)[: len(batch.label)]
    decided = ((inputs["sample_mask"].sum(1) / window.SAMPLE_HZ >= ENOUGH_CURRENT)
               | (inputs["frame_mask"].mean(1) > ENOUGH_VIDEO))
    computed = {"both": np.arange(len(batch.label)) % every == 0}
    predicted = streaming.Predictions(batch.name, batch.label, batch.onset, hold(decided),
                                      hold(out["p_abnormal"][:, 0]), hold(out["alignment"][:, 0]), computed=computed)
    if not alone:
        return predicted
    inputs = windows_of(batch, np.arange(0, len(batch.label), alone))
    computed |= {sense: np.arange(len(batch.label)) % alone == 0 for sense in ("current", "video")}
    return replace(predicted, **{kept: hold(run(step, without(inputs, other))["p_abnormal"][:, 0], alone)
                              for kept, other in (("current", "video"), ("video", "current"))})


# Conditions of a furnace hall; each changes N windows and nothing else.


def lost(share, key):
    def change(inputs, rng):
        return inputs | {key: inputs[key] * (rng.random(inputs[key].shape) >= share)}
    return change


LOST_SAMPLES = 0.3  # the share that the manifest states as tested

CONDITIONS = {
    "as it is": lambda inputs, rng: inputs,
    "no camera": lambda inputs, rng: without(inputs, "video"),
    "no current": lambda inputs, rng: without(inputs, "current"),
    "30 % of samples lost": lost(LOST_SAMPLES, "sample_mask"),
    "30 % of frames lost": lost(0.3, "frame_mask"),
}


def stressed(step, batches, every, change=None, shift=0):
    """Probabilities and labels of scored seconds under a condition."""
    rng, scores, labels = np.random.default_rng(7), [], []
    for b in batches:
        seconds = np.arange(30, len(b.label), every)
        seconds = seconds[b.label[seconds] >= 0]
        if not len(seconds):
            continue
        lag = round(b.lags[0] * window.SAMPLE_HZ) if shift is not None else 0
        inputs = windows_of(b, seconds, lag + (shift or 0) * window.SAMPLE_HZ)
        out = run(step, change(inputs, rng) if change else inputs)
        scores.append(out["p_abnormal"][:, 0])
        labels.append(b.label[seconds])
    return np.concatenate(scores), np.concatenate(labels)

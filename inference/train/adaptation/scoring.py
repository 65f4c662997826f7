"""Runs a network along whole batches in the closed loop and keeps what each sense said.

Both senses together, each alone, and the logits behind them come from one pass, so a plant's
hours are scored once for everything that is chosen on them.
"""

import time
from dataclasses import dataclass

import numpy as np

from ..data import layout
from ..evaluation import streaming
from ..evaluation.calibrate import unpictured
from ..models.closed_loop import ClosedLoop, Compiled, Runner
from ..models.decision import states

TOGETHER = 24  # batches in memory at once; an hour of frames takes 45 MB
LOGITS = ("logit", "logit_current", "logit_video")
KEPT = ("p_current", "p_video", *LOGITS)


class Recorder(Runner):
    """A Runner that keeps the senses' verdicts and logits of every step."""

    def __init__(self, model):
        super().__init__(model)
        self.infer_window = Compiled(lambda *inputs: told(model, *inputs))
        self.kept = []

    def step(self, *arrays):
        out = super().step(*arrays)
        self.kept.append(np.stack([out[k][:, 0] for k in KEPT]))
        return out


def told(model, *inputs):
    out = model.infer(*inputs)
    kept = {k: out[k] for k in out.keys() & {"current_baseline"}}
    return model.verdict(out) | {"alignment": out["alignment"]} | {k: out[k] for k in LOGITS} | kept


@dataclass
class Scored:
    """One batch in the closed loop: S seconds, verdicts held between steps."""

    folder: str
    batch: layout.Batch  # without its pixels
    predictions: streaming.Predictions
    logits: dict  # "logit", "logit_current", "logit_video" → (S,)
    there: dict  # sense → whether it was present (S,)

    @property
    def where(self):
        return f"{self.folder}, {self.batch.name}"

    @property
    def normal(self):
        """Seconds labelled normal whose verdict was computed, not held: (S,)."""
        p = self.predictions
        return (p.label == 0) & p.decided & p.computed["both"]


def score(model, sources, decision, every, log=print, what="batches", check=None):
    """Scores batches, given as (folder, name); every: seconds between verdicts; check(folder, batch) may refuse one."""
    recorder, found, start = Recorder(model), [], time.monotonic()
    for first in range(0, len(sources), TOGETHER):
        some = sources[first : first + TOGETHER]
        batches = [layout.read_batch(folder, name, rerolls=False) for folder, name in some]
        for (folder, _), batch in zip(some, batches, strict=True):
            if check:
                check(folder, batch)
        found += _scored(recorder, [folder for folder, _ in some], batches, decision, every)
        left = (time.monotonic() - start) / len(found) * (len(sources) - len(found))
        log(f"scored {len(found)} of {len(sources)} {what}, {left:.0f} s left")
    return found


def _scored(recorder, folders, batches, decision, every):
    recorder.kept = []
    loop = ClosedLoop(recorder, batches, decision, every)
    for second in range(loop.seconds):
        loop.advance(second)
    kept = np.repeat(np.stack(recorder.kept, axis=2), every, axis=2)       # (5,rows,S)
    return [_of_row(loop, folder, batch, row, kept[:, row, : len(batch.label)], every)
            for row, (folder, batch) in enumerate(zip(folders, batches, strict=True))]


def _of_row(loop, folder, batch, row, kept, every):
    seconds, computed = len(batch.label), np.arange(len(batch.label)) % every == 0
    named = dict(zip(KEPT, kept, strict=True))
    predictions = streaming.Predictions(
        batch.name, batch.label, batch.onset, loop.decided[row, :seconds], loop.p[row, :seconds], loop.alignment[row, :seconds],
        # A missing sense counts as silent.
        np.maximum(named["p_current"], 0), np.maximum(named["p_video"], 0), dict.fromkeys(("both", "current", "video"), computed))
    there = {sense: named[f"p_{sense}"] >= 0 for sense in ("current", "video")}
    return Scored(str(folder), unpictured(batch), predictions, {k: named[k] for k in LOGITS}, there)


AGREED = 0.5  # share of an alarm's seconds in which each sense alone must say abnormal for both to agree
LASTING = 60  # seconds from which an alarm that both senses agree on is taken for an abnormal melt


@dataclass(frozen=True)
class Alarm:
    """An alarm of a model in hours that were given as normal."""

    where: str
    first: int  # second of the batch in which it was raised
    last: int
    agreed: bool  # whether each sense alone says so too, most of the time

    @property
    def lasting(self):
        return self.agreed and self.last - self.first >= LASTING

    def __str__(self):
        who = "both senses agree" if self.agreed else "one sense only"
        return f"{self.where}: {self.first} to {self.last} s, {who}"


def alarms(scored, decision):
    """The alarms in normal seconds of scored batches, longest first."""
    found = []
    for s in scored:
        p = s.predictions
        on = np.concatenate([[False], states(p.both, p.decided, decision) & (p.label == 0), [False]])
        starts, ends = np.flatnonzero(on[1:] & ~on[:-1]), np.flatnonzero(~on[1:] & on[:-1])
        for first, end in zip(starts, ends, strict=True):
            # What raised it lies in the seconds of the mean.
            span = slice(max(first - decision.mean_seconds, 0), end)
            agreed = min(np.mean(x[span] >= 0.5) for x in (p.current, p.video)) >= AGREED
            found.append(Alarm(s.where, int(first), int(end), bool(agreed)))
    return sorted(found, key=lambda a: a.first - a.last)


def hours(scored):
    """Hours of normal seconds."""
    return sum(int((s.predictions.label == 0).sum()) for s in scored) / 3600

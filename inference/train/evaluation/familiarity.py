"""Familiarity (models/familiarity.py): its constants from training windows, and the levels at which a sense counts as unfamiliar.

The event follows the agent's rule (agent/decide/familiarity.go): a minute's scores are
averaged, the mean of the last minutes is compared with the level, and it must stay under it
for some minutes more.

The level is chosen on validation batches for at most one false event in HOURS_PER_EVENT
hours. There are fewer hours than that, so the lowest that the mean falls in a batch is
taken as normally distributed over the lower half of the batches, on the scale of
log(f / (1 − f)): the level is undercut in the allowed share of them, and lies at least a
step under all that were seen.
"""

import statistics

import numpy as np

from ..data import layout
from ..models import familiarity
from ..models.closed_loop import ClosedLoop, Compiled, Runner
from ..models.decision import PROVISIONAL
from ..models.tokenizers import relative_current
from . import densities

MELTS = 300  # training batches that the constants come from at most, evenly taken from all
TOGETHER = 60  # batches in memory at once
EVERY = 5  # seconds between verdicts in the closed loop
APART, FIRST = 15, 40  # seconds between the windows of a batch, and of its first
LEAST_WINDOWS = 200  # of each class
LEAST_BATCHES = 10  # of validation; fewer tell nothing about the next
MINUTE = 60  # seconds
LENGTHS = (5, 10, 15)  # minutes, of the mean
NEARLY = 0.9  # share of the greatest level that a shorter mean must reach
# A plant can accept one false event in 240 h. The choice may exceed its limit on other hours, so it is made for half.
HOURS_PER_EVENT = 480.0
STEP = 0.9  # share of the lowest mean seen that the level may reach at most


def learnt(model, folder, most=MELTS, log=print):
    """The Density of each sense from the training batches of a data set, as the agent would see them."""
    names = layout.names(folder, "train")
    names = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, min(most, len(names))).astype(int))]
    runner, features, parts = Runner(model), Compiled(_features), []
    for first in range(0, len(names), TOGETHER):
        batches = [layout.read_batch(folder, n, rerolls=False) for n in names[first : first + TOGETHER]]
        loop = ClosedLoop(runner, batches, PROVISIONAL, EVERY)
        for second in range(loop.seconds):
            loop.advance(second)
            rows = [r for r, b in enumerate(batches) if second < len(b.label) and b.label[second] >= 0]
            if second >= FIRST and (second - FIRST) % APART == 0 and rows:
                found = features.predict_on_batch(list(loop.window(rows, second)))
                parts.append(found | {"label": np.array([batches[r].label[second] for r in rows])})
        log(f"learnt {first + len(batches)} of {len(names)} batches")
    found = {sense: _fitted(sense, parts, log) for sense in familiarity.SENSES}
    return {sense: density for sense, density in found.items() if density}


def _features(tokens, seen, current, mask, set_point, *_):
    r, valid = relative_current(current, mask, set_point)
    x, known = familiarity.current_features(r, valid)
    y, there = familiarity.video_features(tokens, seen)
    return {"current": x, "current_known": known, "video": y, "video_known": there}


def _fitted(sense, parts, log):
    """The Density of a sense; None if too few windows of a class hold enough of it, as of a meter at half the rate."""
    known = [p[f"{sense}_known"][:, 0] > 0.5 for p in parts]
    x = np.concatenate([p[sense][k] for p, k in zip(parts, known, strict=True)])
    label = np.concatenate([p["label"][k] for p, k in zip(parts, known, strict=True)])
    least = min((label == c).sum() for c in (0, 1))
    if least < LEAST_WINDOWS:
        log(f"familiarity of the {sense}: left out, because one class has {least} whole windows of training, and {LEAST_WINDOWS} are needed")
        return None
    return densities.fit(x, label)


def choose(predicted):
    """The levels of each sense, from streaming.Predictions of validation batches of furnaces that training saw.

    A sense without levels is left out: too few batches are long enough for its mean.
    """
    found = {}
    for n, sense in enumerate(familiarity.SENSES):
        means = {length: lowest(predicted, n, length) for length in LENGTHS}
        levels = {length: level(known) for length, known in means.items() if len(known) >= LEAST_BATCHES}
        if levels:
            length = min(k for k, v in levels.items() if v >= NEARLY * max(levels.values()))
            found[sense] = {"mean_minutes": length, "level": levels[length], "hold_minutes": hold(length)}
    return found


def hold(length):
    """For how many minutes more a mean of so many minutes must stay under its level."""
    return length // 2


def level(means):
    """The level for the lowest means of batches, of which as many minutes are known as each is long."""
    means, minutes = (np.array(v, float) for v in zip(*means, strict=True))
    odds = np.log(means / (1 - means))
    middle = np.median(odds)
    spread = np.sqrt(np.mean((odds[odds <= middle] - middle) ** 2))  # of the lower half
    share = min(minutes.mean() / 60 / HOURS_PER_EVENT, 0.5)  # of the batches, in which the event may be raised
    assumed = 1 / (1 + np.exp(-(middle - statistics.NormalDist().inv_cdf(1 - share) * spread)))
    return max(float(np.floor(1000 * min(assumed, STEP * means.min())) / 1000), 0.001)


def minute_means(scores):
    """Means of each full minute of known scores: (M,)."""
    known = scores[scores >= 0]
    whole = len(known) // MINUTE
    return known[: whole * MINUTE].reshape(whole, MINUTE).mean(1)


def slow_means(scores, length):
    """The mean of the last `length` minutes, once a minute; empty for a shorter record."""
    minutes = minute_means(scores)
    if len(minutes) < length:
        return np.empty(0)
    total = np.concatenate([[0], np.cumsum(minutes)])
    return (total[length:] - total[:-length]) / length


def lowest(predicted, n, length):
    """Of each batch the level under which the event would be raised, and its known minutes: a list of pairs."""
    found = []
    for p in predicted:
        scores = p.familiarity[n]
        means, held = slow_means(scores, length), hold(length) + 1
        if len(means) >= held:
            found.append((min(means[i : i + held].max() for i in range(len(means) - held + 1)), (scores >= 0).sum() / MINUTE))
    return found


def events(scores, levels):
    """How often a sense becomes unfamiliar in a batch."""
    unfamiliar, beyond, count = False, 0, 0
    for mean in slow_means(scores, levels["mean_minutes"]):
        beyond = beyond + 1 if (mean < levels["level"]) != unfamiliar else 0
        if beyond > levels["hold_minutes"]:
            unfamiliar, beyond, count = not unfamiliar, 0, count + (not unfamiliar)
    return count


def figures(predicted, levels):
    """Metrics of the test batches: familiarity of each sense, false events and the hours."""
    out = {}
    for n, sense in enumerate(familiarity.SENSES):
        scores = [p.familiarity[n] for p in predicted]
        known = np.concatenate([s[s >= 0] for s in scores])
        if sense not in levels or not len(known):
            continue
        means = np.concatenate([slow_means(s, levels[sense]["mean_minutes"]) for s in scores])
        out |= {f"familiarity_{sense}_mean": known.mean(), f"familiarity_{sense}_hours": len(known) / 3600,
                f"familiarity_{sense}_events": sum(events(s, levels[sense]) for s in scores)}
        if len(means):
            out |= {f"familiarity_{sense}_lowest_mean": means.min()}
        for c, name in ((0, "normal"), (1, "abnormal")):
            some = np.concatenate([s[(s >= 0) & (p.label == c)] for s, p in zip(scores, predicted, strict=True)])
            if len(some):
                out[f"familiarity_{sense}_{name}"] = some.mean()
    return {k: float(v) for k, v in out.items()}

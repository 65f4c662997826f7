"""The figures of the page of welds, from the runs' results: shares found, what is called known, retrieval.

Runs: seed → fold → a run's result, of one row.
"""

import numpy as np

from . import welds_confidence, welds_offset


def stretches(results, seconds):
    """Features (N,F) and whether right (N,) of the stretches of a length, of some results."""
    each = [e for r in results for w in r["welds"].values() for e in w["stretches"][str(seconds)]]
    features = np.array([e[1:] for e in each], float).reshape(-1, len(welds_offset.FEATURES))
    return features, welds_offset.found_right(each)


def strangers(results, seconds):
    """Features of the same stretches with the current of another time: (N,F)."""
    each = [e for r in results for w in r["welds"].values() for e in w["strangers"][str(seconds)]]
    return np.array(each, float).reshape(-1, len(welds_offset.FEATURES))


def whole(runs, folds):
    """The seeds of which every fold was run."""
    return {seed: each for seed, each in runs.items() if len(each) == folds}


def found(runs, seconds):
    """Share of stretches found by each seed: (seeds,)."""
    return np.array([stretches(each.values(), seconds)[1].mean() if len(stretches(each.values(), seconds)[1]) else np.nan
                     for each in runs.values()])


def known(runs, seconds):
    """Share called known, and share of these that are right, by each seed: (seeds,) twice; NaN where none is known.

    The confidence of a fold is calibrated on the other folds' welds.
    """
    shares, rights = [], []
    for each in runs.values():
        called, right = [], []
        for fold, result in each.items():
            others = [r for f, r in each.items() if f != fold]
            confidence = welds_confidence.fit(*stretches(others, seconds), strangers(others, seconds))
            measured, truth = stretches([result], seconds)
            called.append(confidence.known(measured) if len(truth) else np.zeros(0, bool))
            right.append(truth)
        called, right = np.concatenate(called), np.concatenate(right)
        shares.append(called.mean() if len(called) else np.nan)
        rights.append(right[called].mean() if called.any() else np.nan)
    return np.array(shares), np.array(rights)


def of_weld(runs, name, seconds):
    """A weld's own answers by seed, and the mean share of its stretches found."""
    each = [r["welds"][name] for folds in runs.values() for r in folds.values() if name in r["welds"]]
    right = [welds_offset.found_right(w["stretches"][str(seconds)]) for w in each]
    return [w["own"] for w in each], float(np.mean([r.mean() for r in right])) if right and len(right[0]) else float("nan")


def agreement(rows):
    """Row → share of its own answers within NEAR samples of the weld's median answer of all rows, each row counting once.

    rows: name → runs. A network that was taught nothing may give the same answer in each
    stretch of a weld, too, but not the answer that the others give.
    """
    answers = {name: [(weld, w["own"]) for folds in runs.values() for r in folds.values() for weld, w in r["welds"].items()]
               for name, runs in rows.items()}
    of_row = lambda each, weld: np.median([own for n, own in each if n == weld])
    names = {weld for each in answers.values() for weld, _ in each}
    middle = {weld: np.median([of_row(each, weld) for each in answers.values()]) for weld in names}
    return {name: float(np.mean([abs(own - middle[weld]) <= welds_offset.NEAR for weld, own in each]))
            for name, each in answers.items()}


def curve(runs):
    """Mean curve of the welds over SHIFTS: (51,)."""
    return np.mean([w["curve"] for folds in runs.values() for r in folds.values() for w in r["welds"].values()], axis=0)


def retrieval(runs, key):
    """A figure of retrieval or matching by each seed, mean over the folds: (seeds,); empty where a row has none."""
    each = [[r["retrieval"][key] for r in folds.values() if key in r["retrieval"]] for folds in runs.values()]
    return np.array([np.mean(e) for e in each if e])


def windows(rows):
    """Fewest and most windows of a draw of retrieval, of the runs of several rows."""
    numbers = [r["retrieval"]["windows"] for runs in rows for folds in runs.values() for r in folds.values()]
    return min(numbers), max(numbers)


def spread(values, digits=3):
    """Mean ± standard deviation over seeds, as text."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return "–"
    return f"{values.mean():.{digits}f}" + (f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else "")

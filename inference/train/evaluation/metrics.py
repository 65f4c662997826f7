"""Metrics on held-out batches, with both classes weighted equally.

FDR is this field's name for the false positive rate FP / (FP + TN), MDR is
FN / (FN + TP). Seconds labelled −1 are not scored. Thresholds come from
validation batches, figures from test batches.
"""

import dataclasses

import numpy as np

from . import operating_point, rule

SETTLED = 20  # seconds after a change of the label
SENSES = ("both", "current", "video")


def rates(score, label, threshold):
    """(FDR, MDR) of score ≥ threshold."""
    positive = score >= threshold
    return float(positive[label == 0].mean()), float(1 - positive[label == 1].mean())


def best_threshold(score, label):
    """The threshold with the least FDR + MDR."""
    order = np.argsort(score)
    score, label = score[order], label[order]
    missed = np.cumsum(label == 1) / max((label == 1).sum(), 1)
    alarms = 1 - np.cumsum(label == 0) / max((label == 0).sum(), 1)
    # A threshold after position i classifies everything up to i as normal.
    i = int(np.argmin(missed + alarms))
    upper = score[min(i + 1, len(score) - 1)]
    return float((score[i] + upper) / 2)


def auroc(score, label):
    """Probability that an abnormal second scores above a normal one; ties count half."""
    order = np.argsort(score, kind="stable")
    ranks = np.empty(len(score))
    _, first, count = np.unique(score[order], return_index=True, return_counts=True)
    ranks[order] = np.repeat(first + (count + 1) / 2, count)
    ones, zeros = (label == 1).sum(), (label == 0).sum()
    if ones == 0 or zeros == 0:
        return float("nan")
    return float((ranks[label == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def score(values, label, threshold, prefix):
    fdr, mdr = rates(values, label, threshold)
    true = 1 - mdr
    return {
        f"{prefix}_accuracy": 1 - (fdr + mdr) / 2,
        f"{prefix}_f1": 2 * true / (2 * true + fdr + mdr),
        f"{prefix}_fdr": fdr,
        f"{prefix}_mdr": mdr,
        f"{prefix}_auroc": auroc(values, label),
    }


def strict_threshold(score, label, fdr=0.01):
    """The threshold that a share `fdr` of normal seconds exceeds."""
    return float(np.quantile(score[label == 0], 1 - fdr))


def scored(predicted, sense):
    """Probabilities and labels of the scored seconds whose verdict was computed, not held."""
    keep = [(j.label >= 0) & j.decided & (j.computed[sense] if j.computed else True) for j in predicted]
    values = np.concatenate([getattr(j, sense)[k] for j, k in zip(predicted, keep, strict=True)])
    return values, np.concatenate([j.label[k] for j, k in zip(predicted, keep, strict=True)])


def error_correlation(predicted, thresholds, settled=0):
    """Correlation of the senses' errors within each class, averaged over the classes.

    settled: leave out so many seconds after each change of the label. At an onset
    neither sense shows anything yet, which fusion cannot correct.
    """
    wrong = {c: [] for c in (0, 1)}
    for j in predicted:
        kept = j.decided & (since_change(j.label) >= settled)
        errors = np.stack([(getattr(j, s) >= thresholds[s]) != (j.label == 1) for s in ("current", "video")])
        for c in wrong:
            wrong[c].append(errors[:, kept & (j.label == c)])
    pairs = (np.concatenate(w, axis=1) for w in wrong.values())
    found = [np.corrcoef(*p)[0, 1] for p in pairs if p.size and p.std(axis=1).all()]
    return float(np.mean(found)) if found else 0.0


def since_change(label):
    """Seconds since the last change of the label, at each second: (S,)."""
    seconds = np.arange(len(label))
    changed = np.concatenate([[False], label[1:] != label[:-1]])
    return seconds - np.maximum.accumulate(np.where(changed, seconds, 0))


def quietness(batches, seconds=120):
    """−log CV and labels over scored seconds, for the rule."""
    values, labels = [], []
    for b in batches:
        cv = rule.variation(b.currents[0], seconds)
        keep = (b.label >= 0) & np.isfinite(cv)
        values.append(-np.log(np.maximum(cv[keep], 1e-6)))
        labels.append(b.label[keep])
    return np.concatenate(values), np.concatenate(labels)


def seconds(validation, test, predicted_validation, predicted_test):
    """Metrics over balanced seconds of mixed batches, with thresholds from validation."""
    out, thresholds = {}, {}
    for sense in SENSES:
        known = scored(predicted_validation, sense)
        thresholds[sense] = best_threshold(*known)
        out |= score(*scored(predicted_test, sense), thresholds[sense], sense)
    strict = strict_threshold(*scored(predicted_validation, "current"))
    out |= score(*scored(predicted_test, "current"), strict, "current_strict")
    best = best_threshold(*quietness(validation))
    out |= score(*quietness(test), best, "rule_cv_120")
    out["rule_cv_120_best_level"] = float(np.exp(-best))
    single = min(1 - out["current_accuracy"], 1 - out["video_accuracy"])
    return out | {
        "fused_error_ratio": (1 - out["both_accuracy"]) / max(single, 1e-9),
        "error_correlation": error_correlation(predicted_test, thresholds),
        "error_correlation_settled": error_correlation(predicted_test, thresholds, SETTLED),
        "test_seconds": len(scored(predicted_test, "both")[0]),
        "test_batches": len(predicted_test),
    }


def events(mixed, normal, decision, prefix=""):
    """Onsets in mixed batches and false alarms in normal ones, after the filter."""
    delays = operating_point.episodes(mixed, decision)
    seen = [d for d in delays if d is not None]
    alarms, hours = operating_point.false_alarms(normal, decision)
    between, mixed_hours = operating_point.false_alarms(mixed, decision)
    out = {
        "onsets": len(delays),
        "onsets_missed": len(delays) - len(seen),
        "false_alarms": alarms,
        "normal_hours": hours,
        "false_alarms_per_hour": alarms / max(hours, 1e-9),
        "mixed_false_alarms": between,
        "mixed_normal_hours": mixed_hours,
        "false_alarms_in_first_120_s": operating_point.false_alarms(normal, decision, within=120)[0],
    }
    if seen:
        out["delay_median_seconds"] = float(np.median(seen))
        out["delay_p95_seconds"] = float(np.quantile(seen, 0.95))
    return {prefix + k: v for k, v in out.items()}


def alone(mixed, decision):
    """Onsets detected by the same decision with one sense lost."""
    out = {}
    for sense in ("current", "video"):
        delays = operating_point.episodes(operating_point.only(mixed, sense), decision)
        out[f"{sense}_onsets_missed"] = delays.count(None)
        seen = [d for d in delays if d is not None]
        if seen:
            out[f"{sense}_delay_median_seconds"] = float(np.median(seen))
    return out


def by_rule(batches, predicted, levels):
    """Predictions of the rule for the same batches: p is 1 below a level, else 0 (agent/decide)."""
    found = []
    for b, j in zip(batches, predicted, strict=True):
        cv = {s: rule.variation(b.currents[0], s) for s in rule.ENOUGH}
        # Comparisons with NaN are false.
        quiet = np.any([cv[s] < levels[f"cv_{s}"] for s in cv], axis=0)
        told = np.any([np.isfinite(cv[s]) for s in cv], axis=0)
        found.append(dataclasses.replace(j, both=quiet.astype(np.float32), decided=told))
    return found


def rounded(figures):
    return {k: round(float(v), 4) for k, v in figures.items()}

"""Figures of a network on batches: seconds, onsets and false alarms, with its own thresholds."""

import numpy as np

from ..evaluation import metrics, operating_point, suspicion

SECONDS = ("both_accuracy", "both_fdr", "both_mdr", "both_auroc", "current_accuracy", "video_accuracy")
EVENTS = ("onsets", "onsets_missed", "delay_median_seconds", "mixed_false_alarms", "mixed_normal_hours", "chosen_false_alarms")


def of_labelled(scored, decision, suspect=None):
    """Figures of labelled batches with both classes; accuracy at p 0.5."""
    predicted = [s.predictions for s in scored]
    out = {}
    for sense in metrics.SENSES:
        values, label = metrics.scored(predicted, sense)
        fdr, mdr = metrics.rates(values, label, 0.5)
        out |= {f"{sense}_accuracy": 1 - (fdr + mdr) / 2, f"{sense}_fdr": fdr, f"{sense}_mdr": mdr,
                f"{sense}_auroc": metrics.auroc(values, label)}
    out |= metrics.events(predicted, [], decision)
    if suspect:
        out |= suspicion.figures(predicted, [], decision, suspect)
    return metrics.rounded({k: v for k, v in out.items() if k not in ("false_alarms", "normal_hours", "false_alarms_per_hour", "false_alarms_in_first_120_s")})


def of_hours(scored, decision, suspect=None):
    """False alarms, and false suspicions, in normal hours."""
    predicted = [s.predictions for s in scored]
    alarms, hours = operating_point.false_alarms(predicted, decision)
    out = {"false_alarms": alarms, "normal_hours": hours}
    if suspect:
        out["false_suspicions"] = operating_point.false_alarms(predicted, suspect)[0]
    values = np.concatenate([s.predictions.both[s.normal] for s in scored]) if scored else np.zeros(0)
    return metrics.rounded(out | ({"called_abnormal": float(np.mean(values >= 0.5))} if len(values) else {}))


def worse(before, after):
    """Why an adapted model is worse than the shipped one on the held-out batches, or "".

    More onsets may be missed if fewer alarms are false, in these batches and in the normal hours
    that thresholds were chosen on: then the furnace needs higher thresholds.
    """
    if after["both_accuracy"] < before["both_accuracy"]:
        return f"{100 * after['both_accuracy']:.1f} % of the held-out seconds are right, with the shipped model {100 * before['both_accuracy']:.1f} %"
    alarms = lambda figures: figures["mixed_false_alarms"] + figures.get("chosen_false_alarms", 0)
    if after["onsets_missed"] > before["onsets_missed"] and alarms(after) >= alarms(before):
        return f"{after['onsets_missed']:.0f} of {after['onsets']:.0f} held-out onsets are missed, with the shipped model {before['onsets_missed']:.0f}, and no fewer alarms are false"
    return ""

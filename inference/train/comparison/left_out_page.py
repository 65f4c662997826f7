"""docs/left-out.md, from the figures that left_out.py keeps."""

from ..export.model_card import table
from .transfer import shown

FOLDS = ("scene", "metal", "plates", "emission")
COLUMNS = {
    "accuracy": "both_accuracy", "AUROC": "both_auroc", "current alone": "current_accuracy", "video alone": "video_accuracy", "error ratio": "fused_error_ratio",
    "missed": "onsets_missed", "onsets": "onsets", "delay, median s": "delay_median_seconds", "p95 s": "delay_p95_seconds",
    "false alarms between onsets": "mixed_false_alarms", "in h": "mixed_normal_hours", "in normal hours": "false_alarms", "h": "normal_hours",
    "suspected sooner, s": "suspect_lead_median_seconds",
    "current alone sees it: fused": "lone_current_recall_both", "current": "lone_current_recall_current",
    "video alone sees it: fused": "lone_video_recall_both", "video": "lone_video_recall_video"}


def page(known):
    """The whole page; known: fold → its file's content."""
    return "\n\n".join([*head(known), *(block for fold in known for block in one(known[fold])), *summary(known)]) + "\n"


def head(known):
    yield "# Furnaces that training has left out"
    yield ("Written by `python -m inference.train.left_out page`; `make folds` makes the data, trains and judges. Each fold leaves one family of picture "
           "and one of current out of training and of every choice ([simulator.md](simulator.md) describes the families). Its network is judged on melts "
           "of the left-out families, with the thresholds that it has chosen on families it knows, beside a ceiling: a model that other melts of the same "
           "families have trained, with its own thresholds, on the same melts.")
    yield ("Accuracy is balanced, at p 0.5; the error ratio is the fused error over that of the better single sense; a lone sense's columns are recalls in "
           "episodes that it alone shows. Every third second is judged.")
    missing = [f for f in FOLDS if f not in known]
    if missing:
        yield "Not measured: " + ", ".join(missing) + "."


def one(found):
    yield f"## Without {found['fold']}"
    if found["trained"]:
        yield found["trained"]
    count = len(found["readings"])
    yield (f"Judged on {', '.join(material(d) for d in found['data'])}. The fold has been read {'once' if count == 1 else f'{count} times'}: "
           + ", ".join(f"{r['date']} (weights {r['weights']})" for r in found["readings"]) + ".")
    lines = []
    for pair, m in found["figures"].items():
        lines.append([pair, found["left_out"][pair], *(shown(m.get(k)) for k in COLUMNS.values())])
        if pair in found["ceiling"]:
            lines.append(["", "ceiling: nothing", *(shown(found["ceiling"][pair].get(k)) for k in COLUMNS.values())])
    yield table(["picture + current", "left out", *COLUMNS], lines)


def material(d):
    hours = d["batches"] * d["seconds"] / 3600
    return f"{hours:g} normal hours (seed {d['seed']})" if d["life"] == "normal" else f"{d['batches']} melts of {d['seconds']} s (`--life {d['life']}`, seed {d['seed']})"


def headlines(found):
    """The figures of a fold's pairs of which neither family was seen, each with its ceiling's or None."""
    return [(m, found["ceiling"].get(pair)) for pair, m in found["figures"].items() if found["left_out"][pair] == "both"]


def summary(known):
    """The folds together, against what is wanted."""
    both = [pair for f in known.values() for pair in headlines(f)]
    if not both:
        return
    yield "## All folds"
    gaps = [100 * (ceiling["both_accuracy"] - m["both_accuracy"]) for m, ceiling in both if ceiling]
    missed = [100 * m["onsets_missed"] / m["onsets"] for m, _ in both if m["onsets"]]
    hours = sum(m["normal_hours"] + m["mixed_normal_hours"] for m, _ in both)
    alarms = sum(m["false_alarms"] + m["mixed_false_alarms"] for m, _ in both)
    late = lambda key: [m[key] for m, _ in both if key in m]
    rows = []
    if gaps:
        rows.append(["gap to the ceiling, mean and worst", f"{mean(gaps):.1f} and {max(gaps):.1f} points", "≤ 2 and ≤ 4"])
    if missed:
        rows.append(["onsets missed, mean and worst", f"{mean(missed):.1f} % and {max(missed):.1f} %", "≤ 2 % and ≤ 5 %"])
    if late("delay_median_seconds"):
        rows.append(["delay, worst fold: median and p95", f"{max(late('delay_median_seconds')):.0f} s and {max(late('delay_p95_seconds')):.0f} s", "≤ 80 s and ≤ 160 s"])
    rows.append(["false alarms", f"{alarms:.0f} in {hours:.0f} h", "≤ 1 in 20 h"])
    rows.append(["fused error over the better single sense's, worst", f"{max(m['fused_error_ratio'] for m, _ in both):.2f}", "≤ 0.6"])
    lone = [100 * (m[f"lone_{s}_recall_{s}"] - m[f"lone_{s}_recall_both"]) for m, _ in both for s in ("current", "video") if f"lone_{s}_recall_both" in m]
    if lone:
        rows.append(["fused below the lone sense that sees it, worst", f"{max(lone):.0f} points", "≤ 3"])
    yield f"Pairs of which neither family was seen, of {len(known)} of {len(FOLDS)} folds:"
    yield table(["", "found", "wanted"], rows)


def mean(values):
    return sum(values) / len(values)

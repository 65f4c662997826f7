"""Scores a model on furnaces by their families of picture and of current.

    python -m inference.train.transfer --model inference/models/product --data data/hard --normal data/hours
    python -m inference.train.transfer --run runs/product --data data/hard data/mixed --out transfer.json

Each data set's test batches run in the closed loop. dataset.json names the family of each
batch's picture and of its current; data without these names counts as the simulator's own.
An episode has one sign only if a sense is blind, by truth/, in most of its scored seconds.
Prints a table of the pairs; --out keeps all figures, --keep the
probabilities of every second.
"""

import argparse
import json
import pathlib
import zlib
from dataclasses import replace

import numpy as np

from ..data import layout, meters
from ..data.families import OWN, families
from ..models import decision as decisions
from ..models.closed_loop import Runner
from ..training.checkpoint import load
from ..training.fit import stopwatch
from ..evaluation import metrics, operating_point, streaming, suspicion
from ..evaluation.calibrate import RESULT

EVEN = 0.5  # of p, where neither verdict is preferred
MOSTLY = 0.9  # share of an episode's scored seconds in which a sense is blind
TOGETHER = 60  # batches in memory at once


def witnesses(batch, predicted):
    """For each second the one sense that shows its episode, or "" for both or unknown: (S,)."""
    alone = np.full(len(predicted.label), "", dtype="<U7")
    for seeing, blind in (("video", batch.currents[0].blind), ("current", batch.hidden)):
        if blind is None:
            continue
        for during, _ in operating_point.spans(predicted):
            if blind[during[predicted.label[during] == 1]].mean() >= MOSTLY:
                alone[during] = seeing
    return alone


def read_by(meter, batch):
    """The batch with its current as one of meters.METERS gives it."""
    if meter == meters.EVERY:
        return batch
    rng = np.random.default_rng(zlib.crc32(batch.name.encode()))
    currents = [replace(c, mask=c.mask * (meters.METERS | meters.SLOW_AND_LOST)[meter](len(c.mask), rng)) for c in batch.currents]
    return replace(batch, currents=currents)


def predictions(runner, folder, decision, every, alone=True, meter=meters.EVERY, log=print):
    """The test batches of a folder by pair of families: (picture, current) → [(Predictions, witnesses)]."""
    found, pairs, names = {}, families(folder), layout.names(folder, "test")
    for first in range(0, len(names), TOGETHER):
        some = [read_by(meter, layout.read_batch(folder, n, rerolls=False)) for n in names[first : first + TOGETHER]]
        for b, p in zip(some, streaming.predict(runner, some, decision, every, alone), strict=True):
            found.setdefault(pairs.get(b.name, OWN), []).append((p, witnesses(b, p)))
        log(f"scored {first + len(some)} of {len(names)} batches of {folder}")
    return found


def figures(mixed, quiet, decision, suspect=None):
    """The metrics of one pair of families.

    mixed: [(Predictions, witnesses)]; quiet: the same of normal hours, may be empty; suspect:
    the Decision of a suspicion, or None.
    """
    predicted, out = [p for p, _ in mixed], {}
    for sense in metrics.SENSES:
        values, label = metrics.scored(predicted, sense)
        for name, threshold in (("", EVEN), ("_entered", decision.enter), ("_best", metrics.best_threshold(values, label))):
            fdr, mdr = metrics.rates(values, label, threshold)
            out |= {f"{sense}_accuracy{name}": 1 - (fdr + mdr) / 2, f"{sense}_fdr{name}": fdr, f"{sense}_mdr{name}": mdr}
        out[f"{sense}_auroc"] = metrics.auroc(values, label)
    single = min(1 - out["current_accuracy"], 1 - out["video_accuracy"])
    out["fused_error_ratio"] = (1 - out["both_accuracy"]) / max(single, 1e-9)
    out |= metrics.events(predicted, [p for p, _ in quiet], decision)
    if suspect:
        out |= suspicion.figures(predicted, [p for p, _ in quiet], decision, suspect)
    return out | lone_figures(mixed, decision)


def lone_figures(mixed, decision):
    """Recall of the abnormal seconds that one sense alone shows, and their onsets missed."""
    out = {}
    for seeing in ("current", "video"):
        held = [(p, p.decided & (p.label == 1) & (w == seeing)) for p, w in mixed]
        count = int(sum(k.sum() for _, k in held))
        out[f"lone_{seeing}_seconds"] = count
        if not count:
            continue
        for sense in metrics.SENSES:
            out[f"lone_{seeing}_recall_{sense}"] = float(np.mean(np.concatenate([getattr(p, sense)[k] for p, k in held]) >= EVEN))
        delays = [d for p, w in mixed for d, (during, _) in zip(operating_point.episodes([p], decision), operating_point.spans(p), strict=True)
                  if w[during[0]] == seeing]
        out |= {f"lone_{seeing}_onsets": len(delays), f"lone_{seeing}_onsets_missed": delays.count(None)}
    return out


COLUMNS = {
    "fused": "both_accuracy", "best": "both_accuracy_best", "current": "current_accuracy", "video": "video_accuracy",
    "error ratio": "fused_error_ratio",
    "onsets": "onsets", "missed": "onsets_missed", "delay": "delay_median_seconds", "p95": "delay_p95_seconds",
    "alarms between onsets": "mixed_false_alarms", "in h": "mixed_normal_hours", "alarms in normal hours": "false_alarms", "h": "normal_hours",
    "current alone sees it: fused": "lone_current_recall_both", "current ": "lone_current_recall_current",
    "video alone sees it: fused": "lone_video_recall_both", "video ": "lone_video_recall_video",
}


def page(found):
    """The table as Markdown lines; found: (picture, current) → figures()."""
    yield "| picture | electric | " + " | ".join(COLUMNS) + " |"
    yield "| --- " * (2 + len(COLUMNS)) + "|"
    for (picture, current), m in found.items():
        yield f"| {picture} | {current} | " + " | ".join(shown(m.get(key)) for key in COLUMNS.values()) + " |"


def shown(value):
    return "–" if value is None else f"{value:.0f}" if value == int(value) or abs(value) > 20 else f"{value:.3f}"


def merged(parts):
    """Several results of predictions() in one."""
    out = {}
    for part in parts:
        for pair, some in part.items():
            out.setdefault(pair, []).extend(some)
    return out


def keep(path, found):
    """Writes what predictions() found as arrays, for trying other fusions without running the network again."""
    arrays = {}
    for (picture, current), some in found.items():
        for n, (p, w) in enumerate(some):
            fields = {f: getattr(p, f) for f in ("label", "onset", "decided", "both", "current", "video")} | {"witness": w}
            arrays |= {f"{picture}/{current}/{n}/{f}": v for f, v in fields.items() if v is not None}
    np.savez_compressed(path, **arrays)


def opened(args):
    """The runner, its decision and that of its suspicion, None for a model without one."""
    if args.model:
        from ..export.exported import Exported  # TensorFlow only

        model = Exported(pathlib.Path(args.model))
        return model, model.decision, model.suspect
    result = pathlib.Path(args.run) / RESULT
    known = json.loads(result.read_text()) if result.exists() else {"decision": vars(decisions.PROVISIONAL)}
    suspect = decisions.Decision(**known["suspect"]) if "suspect" in known else None
    return Runner(load(args.run)), decisions.Decision(**known["decision"]), suspect


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", help="folder of an exported model")
    which.add_argument("--run", help="folder of a run; its decision is calibrated, or else provisional")
    parser.add_argument("--data", nargs="+", required=True, help="folders of data sets with both classes")
    parser.add_argument("--normal", nargs="*", default=[], help="folders of normal hours")
    parser.add_argument("--every", type=int, default=1, help="seconds between verdicts")
    parser.add_argument("--meter", choices=(meters.EVERY, *meters.METERS, *meters.SLOW_AND_LOST), default=meters.EVERY, help="how the current is sampled")
    parser.add_argument("--out", help="JSON file for all figures")
    parser.add_argument("--keep", help="NPZ file for the probabilities of the data sets")
    args = parser.parse_args(argv)
    runner, decision, suspect = opened(args)
    log = stopwatch()
    mixed = merged(predictions(runner, folder, decision, args.every, meter=args.meter, log=log) for folder in args.data)
    quiet = merged(predictions(runner, folder, decision, args.every, alone=False, meter=args.meter, log=log) for folder in args.normal)
    found = {pair: metrics.rounded(figures(some, quiet.get(pair, []), decision, suspect)) for pair, some in mixed.items()}
    if args.keep:
        keep(args.keep, mixed)
    if args.out:
        pathlib.Path(args.out).write_text(json.dumps({" + ".join(pair): m for pair, m in found.items()}, indent=2) + "\n")
    print("\n".join(page(found)))

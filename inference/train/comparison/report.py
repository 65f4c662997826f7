"""Writes docs/comparison.md and its plots from the figures of compare.py; no result is typed by hand.

    python -m inference.train.comparison_page
"""

import argparse
import json
import pathlib
from collections import defaultdict

import numpy as np

from ..evaluation import clock_offset
from ..export.model_card import table
from ..training import configs
from . import coupling, plots, sanity
from .claims import BEATS_ALONE, PAIRS, SAME, best_alone, capital, mean, scatter, told, verdict
from .compare import RESULTS

PAGE = pathlib.Path("docs/comparison.md")

# Bounds of sanity.py that a row is known to miss on these data: (row's name, bound) → the reason, from the row's results.
# The figures decide whether it does; a test requires the reason to be removed when the row keeps the bound.
SHORT = {
    ("qformer", "retrieval"): lambda _: "windows of one state are nearly alike, and the state alone gives twice chance",
    ("qformer", "match_easy"): lambda r: ("both senses must be told rightly at once, and this network's current alone is right in "
                                          f"{100 * mean(r, 'current_accuracy'):.1f} % of seconds"),
    ("qformer", "match_hard"): lambda r: (f"between {min(known(r, 'match_hard')):.3f} and {max(known(r, 'match_hard')):.3f} "
                                          "from seed to seed; why was not measured"),
}

LEFT_OUT = """Left out on purpose: the language models, BERT, ResNet-50, CLIP's ViT-L and HuBERT of the papers (0.1 to 0.3
billion parameters, no text task here, no room beside a furnace). In their place stand one convolution (current), three
(frames), K-means of the current, and a head for the next current; every system has the same ones."""


def read(folder):
    """Results by row, each a list over seeds, in the order of rows; costs; and the coupling of the senses."""
    found = defaultdict(list)
    for path in sorted(pathlib.Path(folder).glob("*-[0-9]*.json")):
        result = json.loads(path.read_text())
        found[result["name"]].append(result)
    rows = sorted(found.items(), key=lambda item: order(item[1][0]["row"]))
    beside = (pathlib.Path(folder) / name for name in ("cost.json", coupling.FILE))
    return dict(rows), *(json.loads(p.read_text()) if p.exists() else {} for p in beside)


def order(row):
    digits = row.rstrip("abcdefghijklmnopqrstuvwxyz")
    return int(digits), row


def spread(results, key, digits=4):
    """Mean ± standard deviation of a figure over seeds, or – if it is missing."""
    values = [r["figures"][key] for r in results if key in r["figures"]]
    if not values:
        return "–"
    text = f"{np.mean(values):.{digits}f}"
    return text + (f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else "")


def page(rows, cost, coupling_found):
    """The parts of the page."""
    yield "# The systems compared"
    yield ("Written by `make compare` from the figures in `docs/comparison/`. Every system reads the same tokens of the same "
           "frozen tokenizers, draws its windows alike, has the same optimiser, and is judged on the same "
           "batches, on which nothing was trained or chosen. Row 10 is releases 0.3.0 and 0.3.1; release 0.4.0 is a later "
           "network, trained on several families of furnaces (docs/transfer-earlier.md), and not in the table. Row 10 is trained longer and at a higher rate, "
           "and so is 3t; 10e and 3 are the same networks on the terms of all others. What the rows are and how each is known to work: "
           "`inference/train/training/configs.py` and `inference/train/tests`. ± is the standard deviation over seeds of what stands "
           "behind the tokenizers, which were trained once.")
    yield "[comparison-real.md](comparison-real.md) holds the alignments of rows 1 to 3 and 10 on real video and current, of arc welds."
    yield "[comparison-folds.md](comparison-folds.md) holds the main rows on simulated furnaces of families that their training left out."
    yield LEFT_OUT
    yield from unfinished(rows)
    yield "## Balanced seconds of held-out batches"
    any_row = next(r for r in rows.values() if "test_seconds" in r[0]["figures"])
    f = any_row[0]["figures"]
    yield (f"{f['test_seconds']:.0f} scored seconds of {f['test_batches']:.0f} batches. Windows: how many a run was trained on; "
           "the senses' run is also that of the tokenizers. FDR = FP / (FP + TN), this field's name for the false positive rate; "
           "MDR = FN / (FN + TP). Gap: points of accuracy on batches it was trained on, less those on held-out ones.")
    yield table(("row", "system", "seeds", "windows", "accuracy", "F1", "FDR", "MDR", "AUROC", "gap"), list(seconds(rows)))
    yield "![ROC](comparison/roc.svg)"
    yield "## Each sense alone, and onsets"
    yield ("The same networks with one sense masked. Delay counts from the onset; thresholds are chosen on validation for at "
           "most one false alarm in 60 normal hours, and held.")
    yield table(("row", "system", "video alone", "current alone", "onsets missed", "delay median s", "delay p95 s",
                 "false alarms an hour"), list(onsets(rows)))
    yield "![delay](comparison/delay.svg)"
    yield from filters(rows)
    yield from prices(rows, cost)
    yield "## Under what a furnace house brings about"
    yield ("Accuracy of balanced seconds. The clock offsets take the current later than its true place; all other columns keep "
           "the records' own offset of up to 3 s.")
    yield from conditions(rows)
    yield "![robustness](comparison/robustness.svg)"
    yield from offsets(rows, coupling_found)
    yield from routers(rows)
    yield "## By what each row is known to work"
    yield (f"On {sanity.WINDOWS} held-out windows, half of each class, 120 s or more apart; mean of {sanity.DRAWS} drawings "
           "of them and of the seeds. What must hold by construction (masks, sums, invariances, losses by hand) is tested with "
           "fresh weights.")
    yield table(("row", "system", "what", "wanted of it", "found", ""), list(sanity_rows(rows)))
    yield "## What holds and what does not"
    yield "\n".join(f"- {line}" for line in claims(rows))


SEEDS = 3


def unfinished(rows):
    """The runs that make compare has left."""
    left = [f"{c.title.removeprefix('… ')} ({number} more)" for c in (kind() for kind in configs.ROWS)
            if (number := (1 if c.variant else SEEDS) - len(rows.get(c.name, ()))) > 0]
    if left:
        yield "**Not finished**: `make compare` goes on with these runs. " + "; ".join(left) + "."


def seconds(rows):
    for results in rows.values():
        r, n = results[0], len(results)
        gap = windows = "–"
        if "train_accuracy" in r["figures"]:
            windows = r["windows"]
            gap = f"{100 * (mean(results, 'train_accuracy') - mean(results, 'both_accuracy')):.2f}"
        yield (r["row"], r["title"], n, windows, *(spread(results, f"both_{k}") for k in ("accuracy", "f1", "fdr", "mdr", "auroc")), gap)


def onsets(rows):
    for results in rows.values():
        r = results[0]
        if "onsets" not in r["figures"]:
            continue
        yield (r["row"], r["title"], spread(results, "video_accuracy"), spread(results, "current_accuracy"),
               f"{mean(results, 'onsets_missed'):.1f} of {mean(results, 'onsets'):.0f}",
               spread(results, "delay_median_seconds", 0), spread(results, "delay_p95_seconds", 0),
               spread(results, "false_alarms_per_hour", 3))


def prices(rows, cost):
    if not cost:
        return
    yield "## What each costs"
    yield ("One window on one thread, frozen graph, systems taking turns; the frame's encoder, the same for all, comes on top. "
           "Multiply-adds by TensorFlow's profiler.")
    yield table(("row", "system", "parameters", "million multiply-adds", "p50 ms", "p95 ms"), list(costs(rows, cost)))
    yield "![size](comparison/size.svg)"


def costs(rows, cost):
    for name, results in rows.items():
        if name in cost:
            c = cost[name]
            yield (results[0]["row"], results[0]["title"], c["parameters"], c["million_multiply_adds"],
                   c["p50"], c["p95"])


def conditions(rows):
    tested = {n: r for n, r in rows.items() if "conditions" in r[0]}
    if not tested:
        return
    names = list(next(iter(tested.values()))[0]["conditions"])
    yield table(("row", *names), [(r[0]["row"], *(f"{np.mean([x['conditions'][n] for x in r]):.3f}" for n in names))
                                  for r in tested.values()])


def filters(rows):
    """The effect of the length of the mean, from the product's curves."""
    if "product" not in rows:
        return
    results = rows["product"]
    chosen = results[0]["decision"]
    yield ("How long a mean the state is read from, and from what threshold on, decides as much as the network does. Of all "
           "lengths and thresholds the release takes those of least delay, with both senses and with either lost, that keep to "
           f"the false alarms on validation; for the product's first seed a mean of {chosen['mean_seconds']} s from "
           f"{chosen['enter']:g} on, left under {chosen['exit']:g} held for {chosen['hold_seconds']} s. On test batches, where "
           "nothing was chosen:")
    yield table(("mean over", *(f"delay median (p95) at {limit:g} false alarms an hour" for limit in LIMITS)),
                [(f"{n} s", *(delay_at(results, n, limit) for limit in LIMITS)) for n in results[0]["filters"]])
    yield "![filter](comparison/filter.svg)"


LIMITS = (0.017, 0.1, 1.0)  # one in 60 h, in 10 h, in 1 h


def delay_at(results, length, limit):
    """Delay at the least threshold within a limit of false alarms per hour, averaged over the seeds that have one."""
    found = []
    for r in results:
        kept = [(median, late, seen) for _, alarms, median, late, seen in r["filters"][length]
                if alarms <= limit and median is not None]
        if kept:
            found.append(kept[0])
    if not found:
        return "–"
    median, late, seen = np.mean(found, axis=0)
    missed = len(results[0]["delays"]["each"]) - seen
    return f"{median:.0f} s ({late:.0f} s)" + (f", {missed:.1f} missed" if missed else "")


def offsets(rows, coupling_found):
    with_local = [r for r in rows.values() if r[0].get("offset")]
    if not with_local:
        return
    yield "## The clock offset between the senses"
    pools = with_local[0][0]["offset"]["pools"]
    yield ("Local loss at shifts of ±5 s over stretches of 120 s that hold an event (|ΔI| > 3 kA), one or several pooled: "
           f"share of the pools in which the deepest dip of the loss, against its own values {clock_offset.DIP_S} s to both sides, finds the "
           "injected offset within ±1 s; in the last column the least loss itself. What either finds too much on validation "
           "batches is taken off; at an edge nothing is found.")
    names = list(with_local[0][0]["offset"]["curves"])
    found = lambda r, pool: [[x["offset"]["within_1_s"][pool][n] for n in names] for x in r]
    yield table(("row", "system", "pool", "pools", *(f"{n} s" for n in names), "all", "least loss"),
                [(r[0]["row"], r[0]["title"], f"{pool} s", count, *(f"{x:.2f}" for x in np.mean(found(r, pool), axis=0)),
                  f"{found_within(r, pool):.3f}", f"{found_by_least(r, pool):.3f}")
                 for r in with_local for pool, count in pools.items()])
    yield "![offset](comparison/offset.svg)"
    yield from coupled(coupling_found)
    if any(r[0].get("example") for r in with_local):
        yield ("One onset as the product sees it: which of its 16 frames the verdict rests on, second by second; and for one "
               "window before it, how far each frame attends to each unit of current, with a ring around the units of the "
               "frame's own seconds.")
        yield "![example](comparison/example.svg)"


def found_within(results, pool):
    """Share of a row's pools in which the dip finds the injected offset, averaged over offsets and seeds."""
    return float(np.mean([list(r["offset"]["within_1_s"][pool].values()) for r in results]))


def found_by_least(results, pool):
    """The same for the least loss."""
    return float(np.mean([r["offset"]["by_least_loss"][pool] for r in results]))


def coupled(found):
    """The coupling of frames and current, from coupling.py."""
    if not found:
        return
    lags, r2 = np.array(found["lags_s"]), np.array(found["r2"])
    best = int(r2.argmax())
    far = float(np.median(r2[np.abs(lags - lags[best]) > 2]))
    yield (f"There is little to find it by: a linear reading of a frame's tokens explains "
           f"{100 * r2[best]:.0f} % of how a sample changed {-lags[best]:g} s before it, and {100 * far:.0f} % of samples seconds away, "
           f"which is the furnace's state and tells no time (`coupling.py`, {found['frames']} held-out frames).")


def routers(rows):
    with_router = [r for r in rows.values() if r[0].get("router")]
    if not with_router:
        return
    yield "## The router's load"
    yield "Mean weight of each expert on held-out windows, by sense."
    line = lambda r, s: " ".join(f"{x:.2f}" for x in r["router"][f"router_{s}"])
    yield table(("row", "system", "current", "video"),
                [(r[0]["row"], r[0]["title"], line(r[0], "current"), line(r[0], "video")) for r in with_router])
    yield "![router](comparison/router.svg)"


def sanity_rows(rows):
    for results in rows.values():
        for name, (text, _) in sanity.BOUNDS.items():
            found, held = known(results, name), sanity.wanted(results[0]["row"], name)
            if found or held:
                yield (results[0]["row"], results[0]["title"], text, sanity.bound(name) if held else "–",
                       f"{np.mean(found):.3f}" if found else "–", ("yes" if keeps(results, name) else "no") if held else "")


def known(results, name):
    """A sanity check's figure for each seed of a row; empty if any seed lacks it."""
    each = [r.get("working", {}).get(name) for r in results]
    return [] if None in each else each


def keeps(results, name):
    """Whether the mean over a row's seeds keeps a bound of sanity.py; a missing figure does not."""
    return bool(found := known(results, name)) and sanity.holds(name, float(np.mean(found)))


def shortfalls(rows):
    """Every bound that a row should keep and does not, with the reason where it is known."""
    for row, results in rows.items():
        for name, (text, _) in sanity.BOUNDS.items():
            if not sanity.wanted(results[0]["row"], name) or keeps(results, name):
                continue
            found = known(results, name)
            told = f"**short of it on these data** ({np.mean(found):.3f}, wanted {sanity.bound(name)})" if found else "**not measured**"
            why = SHORT.get((row, name)) if found else None
            yield f"{results[0]['title']}, {text}: {told}" + (f"; {why(results)}." if why else ".")


def claims(rows):
    """The comparative claims of the networks' papers or of the field, each with its figures."""
    acc, best = {n: mean(r, "both_accuracy") for n, r in rows.items()}, best_alone(rows)
    for name, text in BEATS_ALONE.items():
        if name in acc:
            yield f"{text}: {verdict(acc[name] > best)} ({acc[name]:.4f} against {best:.4f})."
    for better, worse, text in PAIRS:
        if better in acc and worse in acc:
            yield f"{capital(text)}: {told(rows, better, worse)} ({acc[better]:.4f} against {acc[worse]:.4f})."
    for larger, smaller, text in (("product-fusion", "product-equal", "a fusion block"),
                                  ("product-large", "product-equal", "three wide fusion blocks")):
        if larger in acc and smaller in acc:
            points = 100 * (acc[larger] - acc[smaller])
            yield f"The product with {text} is at least 0.3 points better, at equal steps: {verdict(points >= 0.3)} ({points:+.2f} points)."
    fused = {n: a for n, a in acc.items() if n not in ("senses", "rule", "toy")}
    if "rule" in acc and fused:
        lead = 100 * (min(fused.values()) - acc["rule"])
        yield f"The rule is at least 3 points below every fused model: {verdict(lead >= 3)} (by {lead:.1f} points)."
    if "align-local" in rows and "align-global" in rows:
        masses = [float(np.mean([r["working"]["units_mass"] for r in rows[n]])) for n in ("align-local", "align-global")]
        yield (f"With the local loss at least three times the attention lies on the frame's own units: "
               f"{verdict(masses[0] >= 3 * masses[1])} ({masses[0]:.3f} against {masses[1]:.3f}).")
    for name in ("align-local", "align-local-long", "product"):
        if name in rows and all(r.get("offset") for r in rows[name]):
            at = {p: (found_within(rows[name], p), found_by_least(rows[name], p)) for p in rows[name][0]["offset"]["pools"]}
            found = "; ".join(f"pools of {p} s: {verdict(share >= 0.9)} ({share:.3f}; by the least loss {least:.3f})"
                             for p, (share, least) in at.items())
            title = rows[name][0]["title"]
            yield f"{capital(title)}, an injected offset found within ±1 s in 90 %: {found}."
    yield from shortfalls(rows)
    if "product" in acc:
        trained = {n: rows[n][0]["windows"] for n in fused}
        equal = {n: a for n, a in fused.items() if trained[n] == trained.get("product-equal")}
        for name, others in (("product", fused), ("product-equal", equal)):
            if name in others:
                first = max(others, key=others.get)
                terms = "" if name == "product" else ", at equal steps"
                found = verdict(first == name) if first == name or acc[first] - acc[name] > scatter(rows, first, name) else SAME
                yield (f"The product is the best of the table{terms}: {found} "
                       f"({acc[name]:.4f}; best: {rows[first][0]['title']}, {acc[first]:.4f}).")
        for name in dict.fromkeys(("product", max(fused, key=fused.get))):
            yield from degraded("The product" if name == "product" else rows[name][0]["title"], rows[name], rows["senses"])
        ratio = (1 - acc["product"]) / max(1 - best, 1e-9)
        yield f"Fusing halves the error of the better single sense: {verdict(ratio <= 0.5)} (ratio {ratio:.2f})."


def degraded(title, fused, senses):
    """Accuracy with a sense missing or incomplete, against the unimodal network on the same batches."""
    at = lambda results, name: float(np.mean([r["conditions"][name] for r in results]))
    alone = {"no camera": at(senses, "no camera"), "no current": at(senses, "no current")}
    best = max(alone.values())
    for name in ("no camera", "no current", "30 % of samples lost", "30 % of frames lost"):
        mine, reference = at(fused, name), alone.get(name, best)
        yield (f"{title}, with {name}, is at most 1 point below the single sense: "
               f"{verdict(mine >= reference - 0.01)} ({mine:.4f} against {reference:.4f}).")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", default=RESULTS, type=pathlib.Path)
    parser.add_argument("--page", default=PAGE, type=pathlib.Path)
    args = parser.parse_args(argv)
    rows, cost, coupling_found = read(args.results)
    plots.draw(rows, cost, args.results)
    args.page.write_text("\n\n".join(page(rows, cost, coupling_found)) + "\n", encoding="utf-8")
    print(f"{args.page}: {len(rows)} systems, {sum(map(len, rows.values()))} runs")

"""Writes docs/comparison-folds.md from the figures of folds_run.py; no result is typed by hand."""

import json
import os
import pathlib
from collections import defaultdict

import numpy as np

from ..export.model_card import table
from . import folds, report
from . import folds_claims as told
from .claims import capital, mean
from .folds import FOLDS, OWN, SHARED, SUMMED

MISSING = "not measured"
WELDS = "comparison-real.md"
COLUMNS = {  # heading → figure, digits
    "AUROC": ("both_auroc", 4), "video alone": ("video_accuracy", 4), "current alone": ("current_accuracy", 4),
    "missed": ("onsets_missed", 1), "delay median s": ("delay_median_seconds", 0), "delay p95 s": ("delay_p95_seconds", 0),
    "false alarms": ("mixed_false_alarms", 1)}
OFFSET = "offset_within_1_s_of_120_s"


def read(folder):
    """The figures: tokenizers → fold → row → results by seed."""
    found = {kind: {fold: defaultdict(list) for fold in FOLDS} for kind in folds.TOKENIZERS}
    for path in sorted(pathlib.Path(folder).glob("*-*-*-[0-9]*.json")):
        result = json.loads(path.read_text())
        found[result["tokenizers"]][result["fold"]][result["row"]].append(result)
    return {kind: {fold: dict(rows) for fold, rows in by_fold.items()} for kind, by_fold in found.items()}


def page(found, in_house, welds):
    """The parts of the page. in_house: the results of docs/comparison.md by row; welds: the text of docs/comparison-real.md."""
    yield "# The systems compared on furnaces that training left out"
    yield from introduction()
    yield from unfinished(found)
    for name, fold in FOLDS.items():
        yield f"## Without {fold.picture} and {fold.current}"
        yield from scored(found, name)
        for kind in folds.TOKENIZERS:
            yield f"### {capital(kind)} tokenizers"
            yield table(HEAD, list(figures(found[kind][name], kind))) if found[kind][name] else f"{capital(MISSING)}."
        yield from another_codebook(found, name)
    yield "## Which systems are parted"
    yield from parted(found[SHARED])
    yield "## What docs/comparison.md claims"
    yield from claimed(found[SHARED], in_house)
    yield "## The order of the rows"
    yield from orders(found, in_house, told.on_welds(welds))
    yield "## What it takes"
    yield from cost(found)


def introduction():
    seeds = {k: len(v) for k, v in folds.SEEDS.items()}
    yield ("Written by `make compare-folds` from the figures in docs/comparison/folds. A fold leaves out one family of picture and one of current "
           "([simulator.md](simulator.md)): no melt of either trains a network, a tokenizer or a codebook, or chooses a threshold. Every row is scored on melts in "
           "which both senses are of the left-out families, of seeds that were not read before; thresholds come from validation melts and normal hours of "
           "the other families. Rows and numbers are those of [comparison.md](comparison.md), with the settings of the release for unseen furnaces "
           f"({', '.join(f'`{k}`' for k in folds.TERMS if k != 'senses')}) in every row that has them. These settings were chosen with other melts of the left-out "
           "families in sight ([transfer-earlier.md](transfer-earlier.md#what-was-tried)), for all rows alike: the rows can be compared, and no figure here is one of a furnace that nobody had seen.")
    yield (f"*Shared tokenizers*: those of the fold's unimodal network, frozen, and {seeds[SHARED]} seeds. ± is the "
           "standard deviation over these, without that of the tokenizers and of the melts. *Own tokenizers*: trained together with the row, from pixels and from "
           f"initial weights; the hot spot's place is taught as to the shared ones, and the codebook of the current is the fold's. "
           f"{'One seed' if seeds[OWN] == 1 else f'{seeds[OWN]} seeds'} of each, so nothing is claimed from them alone.")
    yield ("Row 9 is the sum of the senses' own logits, without a look at both together: on shared tokenizers its blocks are trained as all others are, and 9t is "
           "the network that the tokenizers come from. *Over 9*: points of accuracy above it. *Windows*: how many a run was trained on.")


def unfinished(found):
    left = {kind: [job for fold in FOLDS for job in folds.jobs(fold, (kind,)) if job.seed not in seeds_of(found, job)] for kind in folds.TOKENIZERS}
    everything = {kind: sum(1 for fold in FOLDS for _ in folds.jobs(fold, (kind,))) for kind in folds.TOKENIZERS}
    if any(left.values()):
        yield ("**Not finished**: `make compare-folds` goes on. " + "; ".join(
            f"{len(jobs)} of {everything[kind]} runs with {kind} tokenizers are not measured" for kind, jobs in left.items() if jobs) + ".")


def seeds_of(found, job):
    return [r["seed"] for r in found[job.tokenizers][job.fold].get(job.row, ())]


def scored(found, fold):
    """What the fold is scored on, as its figures tell it."""
    for known in (found[kind][fold] for kind in folds.TOKENIZERS):
        for results in known.values():
            f = results[0]["figures"]
            if "onsets" in f:
                yield (f"{f['test_batches']:.0f} melts with {f['onsets']:.0f} onsets, {f['test_seconds']:.0f} scored seconds; "
                       f"false alarms are between the onsets, in {f['mixed_normal_hours']:.1f} h.")
                return


def another_codebook(found, fold):
    """Says so where runs with own tokenizers have the codebook of another network than the one that the shared tokenizers are of."""
    shared, own = ({r["settings"]["unimodal"] for results in found[kind][fold].values() for r in results} for kind in (SHARED, OWN))
    if shared and own - shared:
        yield (f"The codebook of the runs with own tokenizers is of a unimodal network that was trained again, with the same settings and data: weights {', '.join(sorted(own))}, "
               f"those of the shared tokenizers {', '.join(sorted(shared))}.")


HEAD = ("row", "system", "seeds", "windows", "accuracy", "over 9", *COLUMNS)


def figures(known, kind):
    """The rows of a fold's table; known: row → results."""
    base = known.get(SUMMED, ())
    names = [*folds.ROWS, *folds.UNTRAINED] if kind == SHARED else list(folds.ROWS)
    for row in sorted(names, key=lambda row: report.order(folds.head_of(row)[0])):
        results = known.get(row, ())
        lead = "–" if row == SUMMED else MISSING
        if results and base and row != SUMMED:
            lead = f"{100 * (np.mean(told.values(results)) - np.mean(told.values(base))):+.2f}"
        cells = (report.spread(results, key, digits) if results else MISSING for key, digits in COLUMNS.values())
        yield (*folds.head_of(row), len(results), trained_on(results), report.spread(results, told.ACCURACY) if results else MISSING, lead, *cells)


def trained_on(results):
    return ", ".join(dict.fromkeys(str(r["windows"]) for r in results if r["windows"])) or ("–" if results else MISSING)


# Claims.


def parted(by_fold):
    measured, _ = told.parted(by_fold)
    if not measured:
        yield f"{capital(MISSING)}: no two systems have several seeds on a fold."
        return
    yield (f"Two systems are parted if their means on shared tokenizers differ by more than {told.PARTED:g} times the scatter: the pooled standard deviation "
           f"over seeds of the two, and at least that of all systems of the fold. Pairs with several seeds on a fold: {len(measured)}. Were all systems alike, about "
           f"{told.by_chance(by_fold):.1f} a fold would be parted by chance.")
    for figure, key in (("accuracy", told.ACCURACY), ("AUROC", told.AUROC)):
        yield from parted_by(figure, told.parted(by_fold, key)[1])


def parted_by(figure, found):
    if not found:
        yield f"By {figure}, **no pair of systems is parted by more than {told.PARTED:g} times the scatter** on any fold that is measured."
        return
    both = sum(told.agreeing(each) == len(FOLDS) for *_, each in found)
    yield f"By {figure}, parted on both folds, the same way: {both} pairs; on one, or on both in opposite ways: {len(found) - both}."
    yield table(("better", "worse", *(f"without {fold}" for fold in FOLDS), "parted on"), [
        (name(one), name(other), *(gap(each.get(fold)) for fold in FOLDS), f"{told.agreeing(each)} of {len(FOLDS)}") for one, other, each in found])


def name(row):
    return " ".join(folds.head_of(row))


def gap(found):
    return MISSING if found is None else f"{100 * found.gap:+.2f} points, scatter {100 * found.scatter:.2f}" + (", **parted**" if found.parted else "")


def claimed(by_fold, in_house):
    lines = [(text, there, *(of(known) for known in by_fold.values())) for text, there, of in told.in_house(in_house)]
    if not lines:
        yield f"{capital(MISSING)}: docs/comparison/ has no figures."
        return
    yield ("Its claims by its own figures, and by those of the folds on shared tokenizers, where a difference counts if it parts the systems. The others of its claims are of "
           "rows, conditions or clock offsets that are not in the folds.")
    yield table(("claim", "docs/comparison.md", *(f"without {fold}" for fold in by_fold)), lines)
    lost = [(text, there, found) for text, there, *found in lines if there == told.HOLDS and any(v in (told.NOT, told.SAME) for v in found)]
    if lost:
        yield "What holds there and not on every fold that is measured:\n\n" + "\n".join(
            f"- {text}: " + "; ".join(f"without {fold} {v}" for fold, v in zip(by_fold, found, strict=True)) + "." for text, _, found in lost)


def orders(found, in_house, welds):
    """The figures by which each comparison orders the rows, and the rank correlations."""
    number = {row: folds.head_of(row)[0] for row in folds.ROWS}
    there = {told.here(row): mean(r, told.ACCURACY) for row, r in in_house.items() if told.here(row) in number and row != SUMMED}
    columns = {"docs/comparison.md": there} | {f"{kind}, without {fold}": {row: float(np.mean(v)) for row in number if (v := told.values(known.get(row, ())))}
                                                 for kind, by_fold in found.items() for fold, known in by_fold.items()}
    columns["welds"] = {row: welds[n] for row, n in number.items() if n in welds}
    yield ("Accuracy of each row, in brackets its rank among those measured; on welds ([comparison-real.md](comparison-real.md)) the share of 20-s stretches in which an injected offset is found, "
           "which is another task.")
    yield table(("row", "system", *columns), [(*folds.head_of(row), *(ranked(values, row) for values in columns.values())) for row in number])
    lines = [f"- {one} and {other}: {rho:+.2f} over {n} rows" for i, one in enumerate(columns) for other in list(columns)[i + 1 :]
             if (correlated := told.correlation(columns[one], columns[other])) for rho, n in (correlated,)]
    yield ("Rank correlation (Spearman; four rows in a given order are one in 24 by chance):\n\n" + "\n".join(lines)) if lines else f"Rank correlation: {MISSING}."
    yield from offsets(found, in_house, welds, number)


def ranked(values, row):
    return f"{values[row]:.4f} ({sorted(values.values(), reverse=True).index(values[row]) + 1})" if row in values else MISSING


def offsets(found, in_house, welds, number):
    """Of the rows whose attention tells a clock offset, how often it is found."""
    rows = [row for row in number if any(OFFSET in r["figures"] for by_fold in found.values() for known in by_fold.values() for r in known.get(row, ()))]
    if not rows:
        return
    yield ("Of the rows whose attention tells the clock offset between the senses, the share of pools of 120 s with an event in which an injected offset of up to ±3 s is "
           "found within ±1 s, beside the share on welds:")
    cells = lambda row: (report.spread(known[row], OFFSET, 3) if row in known else MISSING for by_fold in found.values() for known in by_fold.values())
    there = lambda row: f"{report.found_within(in_house[row], '120'):.3f}" if all(r.get("offset") for r in in_house.get(row, [{}])) else MISSING
    yield table(("row", "system", "docs/comparison.md", *(f"{kind}, without {fold}" for kind, by_fold in found.items() for fold in by_fold), "welds"),
                [(*folds.head_of(row), there(row), *cells(row), f"{welds[number[row]]:.3f}" if number[row] in welds else MISSING) for row in rows])


def cost(found):
    runs = [r for by_fold in found.values() for known in by_fold.values() for results in known.values() for r in results]
    spent = sum(r["cpu_seconds"] for r in runs) / 3600
    yield (f"Expected: {folds.expected_hours():.1f} CPU-hours in all, of which {folds.TOKENIZING * len(FOLDS) / 60:.1f} for the shared tokenizers and their tokens, without the data; "
           f"the limit is {folds.CPU_HOURS}. {len(runs)} runs so far took {spent:.1f} CPU-hours.")


def write(results, into):
    """Writes the page whole or not at all. The figures of docs/comparison.md are beside the folder of results, the page of the welds is beside the page."""
    welds = into.with_name(WELDS)
    text = page(read(results), report.read(results.parent)[0], welds.read_text(encoding="utf-8") if welds.exists() else "")
    into.parent.mkdir(parents=True, exist_ok=True)
    part = into.with_suffix(f".{os.getpid()}.part")  # several processes write it
    part.write_text("\n\n".join(text) + "\n", encoding="utf-8")
    os.replace(part, into)

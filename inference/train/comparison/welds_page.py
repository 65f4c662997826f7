"""Writes docs/comparison-real.md from the figures of welds.py; no result is typed by hand."""

import numpy as np

from ..data import welds
from ..export.model_card import table
from . import report, sanity, welds_confidence, welds_figures, welds_offset, welds_retrieval, welds_rows
from .claims import HOLDS, NOT, SAME, capital
from .welds_figures import spread

TOLD = {5: 0.51, 10: 0.64, 20: 0.75}  # the ridge, as the README of the data tells it
ALIKE = 0.05  # within which a figure of the ridge is that of the README
WANTED_FOUND, WANTED_KNOWN = 0.85, 0.5  # of stretches of JUDGED seconds
JUDGED = 20
LEAST_SCATTER = 0.03  # of a share of stretches: seeds may be close by chance, or there is one only
CHANCE = 2.0  # times chance, below which retrieval has learnt next to nothing
SHOWN = tuple(range(-10, 11, 2))  # samples at which the local loss is printed
RIDGES = {"ridge": "ridge regression", "ridge-tokens": "ridge regression on the networks' tokens"}
RIDGE, AVERAGED = "ridge", "-all"  # see welds.py


class Rows:
    """What was run of each row: name → seed → fold → result, whole seeds only, in the order of the page.

    The readings of all seeds together are a row of their own, after the row that they are of.
    """

    def __init__(self, names, found, folds):
        self.configs = {name: config for name, config in welds_rows.configs_of(names)}
        order = [*RIDGES, *(n for name in self.configs for n in (name, name + AVERAGED))]
        self.known = {name: runs for name in order if (runs := welds_figures.whole(found.get(name, {}), folds))}
        self.networks = [name for name in self.known if name not in RIDGES]
        self.single = [name for name in self.networks if name in self.configs]

    def number(self, name):
        return "–" if name in RIDGES else self.configs[name.removesuffix(AVERAGED)].row

    def title(self, name):
        if name in RIDGES:
            return RIDGES[name]
        single = name.removesuffix(AVERAGED)
        return self.configs[single].title + (", all seeds together" if name != single else "")

    def head(self, name):
        seeds = max(map(len, self.known.values())) if name.endswith(AVERAGED) else len(self.known[name])
        return self.number(name), self.title(name), "–" if name in RIDGES else seeds


def page(study, names, seeds, found, each):
    """The parts of the page."""
    rows = Rows(names, found, len(study.folds))
    yield "# The systems compared on real video and current"
    yield from introduction(study)
    yield from missing(rows, seeds, found, len(study.folds))
    yield from ridge(each)
    if rows.known:
        yield from offsets(rows)
        yield from retrieval(rows)
        yield from losses(rows)
        yield from by_weld(study, rows)
        yield "## What holds and what does not"
        yield "\n".join(f"- {line}" for line in claims(rows, each))


def introduction(study):
    seconds = sum(w.seconds for w in study.known)
    yield (f"Written by `python -m inference.train.welds` from {len(study.known)} arc welds of {seconds:.0f} s together, recorded "
           f"with a thermal camera and with the current, synchronised, without labels. Source: {welds.SOURCE} "
           f"({', '.join(w.name for w in study.known)}), repacked. It states no licence: it serves for evaluation only. "
           "Neither the data nor anything trained on them is part of this project; the figures are.")
    yield (f"A weld has {welds.FRAME_HZ:g} frames of 30 × 30 pixels and {welds.SAMPLE_HZ:g} samples a second: two samples a frame, as a furnace "
           f"has, {welds.SPEED:g} times as fast. A window of 240 samples lasts 9.6 s here and its 16 frames 1.28 s; ±3 s of a furnace are "
           f"±{3 / welds.SPEED:g} s. The current is high-passed, less its mean over 1 s; the voltage is not used. Every system reads the same "
           "tokens, 40 principal components of 7 frames, fitted to the training welds, and has the same optimiser, steps and windows. "
           f"The welds are dealt to {len(study.folds)} folds, and each is judged by networks that were trained on the other folds. ± is the "
           "standard deviation over seeds.")
    yield ("No weld trained a network or calibrated a confidence that judged it. But three settings were chosen with figures of the 17 welds "
           "above in sight: the range of shifts, the high pass of the frames, and the mean over mirrored pictures. So welds of which nothing "
           "was seen are the stricter test.")


def missing(rows, seeds, found, folds):
    """The runs that the command has left."""
    left = [f"{rows.title(n)}, seed {seed} ({folds - done} of {folds} folds)" for n in rows.configs for seed in seeds
            if (done := len(found.get(n, {}).get(seed, {}))) < folds]
    if left:
        yield "**Not finished**: the same command goes on with these runs. " + "; ".join(left) + "."


def ridge(each):
    if each is None:
        return
    yield "## The linear reading"
    yield ("A ridge regression reads the high-passed current from the same components. It is trained on all other welds, each weld left "
           "out in turn. The table has the mean over the welds of the share of stretches in which an injected shift is found within "
           f"±{welds_offset.NEAR} samples of the weld's own answer. It shows that the judging here is that of the data's README, which "
           "tells the second line. Below, the ridge is trained on the folds like the networks, and once more on the networks' tokens: "
           "what the networks owe to these, they do not owe to being networks.")
    yield table(("", *(f"{s} s" for s in welds_offset.LENGTHS)),
                [("here", *(spread([v], 2) for v in of_each(each).values())), ("the data's README", *(f"{v:.2f}" for v in TOLD.values()))])


def of_each(each):
    """Seconds → the mean over the welds of the ridge's share of stretches found."""
    right = lambda w, s: welds_offset.found_right(w["stretches"][str(s)])
    return {s: float(np.mean([right(w, s).mean() for w in each["welds"].values() if len(right(w, s))] or [np.nan]))
            for s in welds_offset.LENGTHS}


def offsets(rows):
    yield "## An injected offset"
    low, high = min(welds_offset.INJECTED) / welds.SAMPLE_HZ, max(welds_offset.INJECTED) / welds.SAMPLE_HZ
    wanted = 100 * (welds_confidence.WANTED + welds_confidence.RESERVE)
    yield (f"The current is delayed by {low:+.2f} to {high:+.2f} s, and the shift is sought within "
           f"±{welds_offset.MOST / welds.SAMPLE_HZ:g} s. The records' own zero is wrong in some welds. So a stretch is right if its "
           f"answer lies within ±{welds_offset.NEAR} samples of the injected shift and of the system's own answer on the whole weld. "
           "Stretches begin every second. Q-Former answers by the similarity of its two projections, all others by the local loss. "
           "*All seeds together* is the mean of the seeds' curves, each in units of its own spread.")
    yield ("*Known*: share of the stretches whose answer is called known, and how many of these are right. The confidence reads how high "
           "the peak is, how far it leads the second one, and whether halves and thirds of the stretch agree, and the seeds where they "
           f"answer together. It is calibrated on the welds of all other folds, for {wanted:.0f} % right there. Each of these was read by "
           "the network of its own fold, which never saw it, and once more with the current of another time.")
    yield ("A system agrees with itself even if it learnt nothing, because what is random is the same in every stretch of a weld. "
           f"*Agrees* is the share of its own answers that lie within ±{welds_offset.NEAR} samples of the median answer of all systems.")
    head = ("row", "system", "seeds", *(f"{s} s {what}" for s in welds_offset.LENGTHS for what in ("found", "known", "of these right")), "agrees")
    lines, agreed = [], welds_figures.agreement(rows.known)
    for name, runs in rows.known.items():
        cells = [(spread(welds_figures.found(runs, s)), *map(spread, welds_figures.known(runs, s))) for s in welds_offset.LENGTHS]
        lines.append((*rows.head(name), *(c for group in cells for c in group), f"{agreed[name]:.2f}"))
    yield table(head, lines)


def retrieval(rows):
    yield "## Retrieval and matching"
    drawn = {name: rows.known[name] for name in rows.known if name in RIDGES or name in rows.single}
    fewest, most = welds_figures.windows(drawn.values())
    number = f"{most}" if fewest == most else f"{fewest} to {most}"
    yield (f"{number} windows of held-out welds, drawn {welds_retrieval.DRAWS} times, whose frames do not overlap. R@1: how often a "
           f"video's own current is the most similar one, in multiples of chance, which is one in {number}. For the ridge it is the "
           "correlation of what a window's 16 frames show with the samples of the same 1.28 s. ITM: accuracy of Q-Former's matching head "
           "on true pairs and on pairs with the current of any other window, or of the most similar one.")
    lines = [(*rows.head(name), *(spread(welds_figures.retrieval(runs, k), digits) for k, digits in
              (("retrieval", 1), ("match_easy", 3), ("match_hard", 3)))) for name, runs in drawn.items()]
    yield table(("row", "system", "seeds", "R@1, × chance", "ITM, any other", "ITM, most similar"), lines)


def losses(rows):
    local = [n for n in rows.single if rows.configs[n].system != "QFormer"]
    if not local:
        return
    yield "## The local loss by shift"
    yield ("Less that of the mean attention, negative where a frame tells its own samples; mean over the welds and seeds. Samples by which the "
           "current is taken later than the record says.")
    lines = []
    for name in local:
        curve = dict(zip(welds_offset.SHIFTS.tolist(), welds_figures.curve(rows.known[name]), strict=True))
        lines.append((rows.number(name), rows.title(name), *(f"{0.0 - curve[s]:.3f}" for s in SHOWN)))
    yield table(("row", "system", *(f"{s:+d}" if s else "0" for s in SHOWN)), lines)


def by_weld(study, rows):
    yield "## Weld by weld"
    yield (f"Share of {JUDGED}-s stretches found, mean over seeds, and in brackets the own answers on the whole weld, in samples, of every seed.")
    cell = lambda answers, share: ("–" if np.isnan(share) else f"{share:.2f}") + f" ({', '.join(f'{a:+d}' if a else '0' for a in answers)})"
    yield table(("weld", "s", *(rows.title(n) for n in rows.known)),
                [(w.name, f"{w.seconds:.0f}", *(cell(*welds_figures.of_weld(runs, w.name, JUDGED)) for runs in rows.known.values()))
                 for w in study.known])


# Claims.


UNMEASURED = f"**not measured**: the welds are shorter than {JUDGED} s"


def claims(rows, each):
    """What was wanted or is of interest, each with its figures."""
    if each is not None and np.isfinite(list(of_each(each).values())).all():
        here = of_each(each)
        alike = all(abs(here[s] - TOLD[s]) <= ALIKE for s in TOLD)
        yield (f"The ridge finds what the data's README says, within {100 * ALIKE:.0f} points: {HOLDS if alike else NOT} "
               f"({', '.join(f'{here[s]:.2f} against {TOLD[s]:.2f}' for s in TOLD)}).")
    share = {n: welds_figures.found(runs, JUDGED) for n, runs in rows.known.items()}
    for name in rows.networks:
        title = capital(rows.title(name))
        for other in (r for r in RIDGES if r in share):
            yield (f"{title} finds more {JUDGED}-s stretches than the {rows.title(other)} in the same run: {told(share, name, other)} "
                   f"({mean(share[name]):.3f} against {mean(share[other]):.3f}).")
    if rows.networks:
        best = max(rows.networks, key=lambda n: mean(share[n]))
        yield (f"The best system, {rows.title(best)}, finds {100 * WANTED_FOUND:.0f} % of {JUDGED}-s stretches: "
               f"{HOLDS if mean(share[best]) >= WANTED_FOUND else NOT} ({mean(share[best]):.3f}).")
    for name, runs in rows.known.items():
        yield known_enough(capital(rows.title(name)), *welds_figures.known(runs, JUDGED))
    yield from retrieved(rows)
    if {"align-local", "align-global"} <= set(rows.known):
        depth = {n: float(np.ptp(welds_figures.curve(rows.known[n]))) for n in ("align-local", "align-global")}
        yield (f"Only the local loss ties frames to their own samples, its range over the shifts at least three times that without: "
               f"{HOLDS if depth['align-local'] >= 3 * depth['align-global'] else NOT} ({depth['align-local']:.3f} against {depth['align-global']:.3f}).")
    yield from order(rows, share)


def known_enough(title, known, right):
    enough = mean(known) >= WANTED_KNOWN and mean(right) >= welds_confidence.WANTED
    figures = f"{mean(known):.3f} known, of these {spread(right)} right" if np.isfinite(right).any() else "nothing was called known"
    return (f"{title} calls at least {100 * WANTED_KNOWN:.0f} % of {JUDGED}-s stretches known, and {100 * welds_confidence.WANTED:.0f} % of these are "
            f"right: {HOLDS if enough else NOT} ({figures}).")


def retrieved(rows):
    """The bounds by which row 1 is called working."""
    if "qformer" not in rows.known:
        return
    runs, ceiling = rows.known["qformer"], welds_figures.retrieval(rows.known.get(RIDGE, {}), "retrieval")
    for key in ("retrieval", "match_easy", "match_hard"):
        value = welds_figures.retrieval(runs, key)
        text = {"retrieval": "R@1 in multiples of chance", "match_easy": "ITM against any other window", "match_hard": "ITM against the most similar window"}[key]
        note = f"; the ridge, from the same 16 frames: {mean(ceiling):.1f}" if key == "retrieval" and len(ceiling) else ""
        if key == "retrieval" and mean(value) < CHANCE:
            config = rows.configs["qformer"]
            note += f"; in {config.steps} steps of {config.windows} windows its contrast has hardly left chance"
        yield (f"{rows.title('qformer')}, {text}, wanted {sanity.bound(key)}: "
               f"{HOLDS if sanity.holds(key, mean(value)) else '**short of it on these data**'} ({spread(value, 2)}{note}).")


def order(rows, share):
    """The order of the rows here beside that of docs/comparison.md."""
    simulated = report.read(report.RESULTS)[0] if report.RESULTS.exists() else {}
    both = [n for n in rows.single if n in simulated]
    if len(both) < 2:
        return
    rank = lambda value: ", ".join(f"{rows.number(n)} ({value(n):.3f})" for n in sorted(both, key=value, reverse=True))
    yield f"Order of the rows by {JUDGED}-s stretches found here: {rank(lambda n: mean(share[n]))}."
    yield f"Order of the same rows in docs/comparison.md, by accuracy of the verdict: {rank(lambda n: report.mean(simulated[n], 'both_accuracy'))}."
    aligned = [n for n in both if all(r.get("offset") for r in simulated[n])]
    if len(aligned) > 1:
        there = {n: report.found_within(simulated[n], "120") for n in aligned}
        sort = lambda value: sorted(aligned, key=lambda n: value[n], reverse=True)
        here = {n: mean(share[n]) for n in aligned}
        yield (f"Of the rows whose attention tells an offset, the order by offsets found is the same there (stretches of 120 s) and here: "
               f"{HOLDS if sort(there) == sort(here) else NOT} (there {', '.join(f'{rows.number(n)} {there[n]:.3f}' for n in sort(there))}; "
               f"here {', '.join(f'{rows.number(n)} {here[n]:.3f}' for n in sort(here))}).")


def told(share, better, worse):
    """Whether one row's share exceeds another's by more than the scatter over the seeds."""
    gap = mean(share[better]) - mean(share[worse])
    if not np.isfinite(gap):
        return UNMEASURED
    scatter = max([LEAST_SCATTER, *(float(np.nanstd(v, ddof=1)) for v in share.values() if len(v) > 1)])
    return SAME if abs(gap) <= scatter else HOLDS if gap > 0 else NOT


def mean(values):
    values = np.asarray(values, float)
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

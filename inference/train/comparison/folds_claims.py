"""What the figures of the folds allow to be said: which systems are parted, what of the in-house claims holds, and in which order they stand.

Two systems are parted on a fold if their mean figures differ by more than PARTED times the
scatter: the pooled standard deviation over seeds of the two, and at least that of all systems
of the fold, because a few seeds may lie close by chance. A system with one seed is parted from none.
"""

import itertools
import math
import re
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from . import claims, folds
from .claims import HOLDS, NOT, SAME

PARTED = 2.0
ACCURACY, AUROC = "both_accuracy", "both_auroc"
UNMEASURED, ONE = "not measured", "one seed, so no claim"
FEWEST = 3  # rows whose orders are compared


def values(results, key=ACCURACY):
    """A figure of each seed."""
    return [r["figures"][key] for r in results if key in r["figures"]]


def pooled(groups):
    """The pooled standard deviation of groups of values, or None if none has two."""
    several = [g for g in groups if len(g) > 1]
    free = sum(len(g) - 1 for g in several)
    return math.sqrt(sum((len(g) - 1) * float(np.var(g, ddof=1)) for g in several) / free) if free else None


@dataclass(frozen=True)
class Difference:
    """How far one system lies above another on a fold."""

    gap: float
    scatter: float | None  # None if either has one seed

    @property
    def parted(self):
        return self.scatter is not None and abs(self.gap) > PARTED * self.scatter

    @property
    def verdict(self):
        """Whether the first one is better."""
        return ONE if self.scatter is None else claims.verdict(self.gap > 0) if self.parted else SAME


def difference(one, other, all_groups):
    """The Difference of the values of two systems, None if either is missing; all_groups: of all systems of the fold."""
    if not one or not other:
        return None
    gap = float(np.mean(one) - np.mean(other))
    return Difference(gap, max(pooled([one, other]), pooled(all_groups)) if min(len(one), len(other)) > 1 else None)


def verdict(found):
    return found.verdict if found else UNMEASURED


def of_rows(known, one, other, key=ACCURACY):
    """The Difference of two rows of a fold; known: row → results."""
    return difference(values(known.get(one, ()), key), values(known.get(other, ()), key), [values(r, key) for r in known.values()])


def pairs(by_fold, key=ACCURACY):
    """Every pair of trained rows that was measured with several seeds on some fold: (one, other, fold → Difference); by_fold: fold → row → results."""
    for one, other in itertools.combinations(folds.ROWS, 2):
        found = {fold: d for fold, known in by_fold.items() if (d := of_rows(known, one, other, key)) and d.scatter is not None}
        if found:
            yield one, other, found


def by_chance(by_fold):
    """How many pairs a fold would be parted if the systems of it were alike, their seeds normal and the scatter known; the greatest over the folds."""
    numbers = []
    for known in by_fold.values():
        seeds = [n for row in folds.ROWS if (n := len(values(known.get(row, ())))) > 1]
        numbers.append(sum(math.erfc(PARTED / math.sqrt(2 * (1 / a + 1 / b))) for a, b in itertools.combinations(seeds, 2)))
    return max(numbers, default=0.0)


def parted(by_fold, key=ACCURACY):
    """All pairs as pairs() gives them, and those that are parted on some fold: (better, worse, fold → Difference of the better over the worse).

    Better is which leads by more where they are parted. First come those that are parted on most folds.
    """
    measured, found = list(pairs(by_fold, key)), []
    for one, other, each in measured:
        if any(d.parted for d in each.values()):
            first = max(each.values(), key=lambda d: d.parted * abs(d.gap))
            turned = {fold: d if first.gap > 0 else Difference(-d.gap, d.scatter) for fold, d in each.items()}
            found.append((one, other, turned) if first.gap > 0 else (other, one, turned))
    found.sort(key=lambda row: (-agreeing(row[2]), -max(d.gap / d.scatter if d.scatter else math.inf for d in row[2].values() if d.parted)))
    return measured, found


def agreeing(each):
    """On how many folds the better one is parted from the worse."""
    return sum(d.parted and d.gap > 0 for d in each.values())


# What docs/comparison.md claims.


def in_house(rows):
    """Each claim of docs/comparison.md that the folds can test: (text, its verdict there, known → verdict on a fold)."""
    acc = {n: claims.mean(r, ACCURACY) for n, r in rows.items()}
    if "senses" in rows:
        for row, text in claims.BEATS_ALONE.items():
            if row in acc:
                yield text, claims.verdict(acc[row] > claims.best_alone(rows)), lambda known, row=row: verdict(over_alone(known, row))
    for better, worse, text in claims.PAIRS:
        mine = here(better), here(worse)
        if better in acc and worse in acc and set(mine) <= set(folds.ROWS):
            yield claims.capital(text), claims.told(rows, better, worse), lambda known, mine=mine: verdict(of_rows(known, *mine))
    equal = {n for n in acc if here(n) in folds.ROWS and n != "senses"}
    if "product-equal" in equal:
        first = max(equal, key=acc.get)
        there = (HOLDS if first == "product-equal" else NOT if acc[first] - acc["product-equal"] > claims.scatter(rows, first, "product-equal") else SAME)
        yield "The product is the best of the table, at equal steps", there, best_of_all
    if "rule" in acc and equal:
        yield ("The rule is at least 3 points below every fused model", claims.verdict(min(acc[n] for n in equal) - acc["rule"] >= RULE_BELOW), below)


RULE_BELOW = 0.03


def here(row):
    """The name here of a row of docs/comparison.md."""
    return folds.SUMMED if row == "senses" else row


def over_alone(known, row):
    """The Difference of a row over the better sense alone."""
    alone = max((values(known.get(folds.SUMMED, ()), f"{s}_accuracy") for s in ("current", "video")), key=lambda v: np.mean(v) if v else 0.0)
    return difference(values(known.get(row, ())), alone, list(map(values, known.values())))


def fused(known):
    """The rows that look at both senses together, with their values; None while one of them has no figure, because a claim about all needs all."""
    found = {row: values(known.get(row, ())) for row in folds.ROWS if row != folds.SUMMED}
    return found if all(found.values()) else None


def best_of_all(known):
    """Whether the product leads the fused rows of a fold."""
    if not (found := fused(known)):
        return UNMEASURED
    first = max((row for row in found if row != "product-equal"), key=lambda row: np.mean(found[row]))
    return verdict(of_rows(known, "product-equal", first))


def below(known):
    """Whether the rule is RULE_BELOW under every fused row of a fold."""
    found, rule = fused(known), values(known.get(folds.RULE, ()))
    return claims.verdict(min(map(np.mean, found.values())) - np.mean(rule) >= RULE_BELOW) if found and rule else UNMEASURED


# Orders.


def on_welds(page):
    """Row's number → share of 20-s stretches found, from the table of docs/comparison-real.md; empty without one."""
    found, column = {}, None
    for line in page.splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")] if line.startswith("|") else []
        if cells[:1] == ["row"]:
            column = cells.index("20 s found") if "20 s found" in cells else None
        elif not cells:
            column = None
        elif column is not None and (value := re.match(r"[\d.]+", cells[column])):
            found[cells[0]] = float(value[0])
    return found


def correlation(one, other):
    """Spearman's rank correlation of two {row: figure} over the rows of both, and their number; None for fewer than FEWEST or without an order."""
    both = [row for row in one if row in other]
    figures = [[of[row] for row in both] for of in (one, other)]
    if len(both) < FEWEST or any(len(set(f)) < 2 for f in figures):
        return None
    return float(spearmanr(*figures).statistic), len(both)

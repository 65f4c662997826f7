"""The committed comparison: its page is its figures', and each row works by what it is known to work by.

The figures come from trained weights and held-out batches (make compare). A claim that
one system beats another is not tested but printed, with its figures, whether it
holds or not.
"""

import json
import pathlib

import numpy as np
import pytest

from inference.train import comparison_page, configs, working
from inference.train.compare import RESULTS

ROOT = pathlib.Path(__file__).parents[3]
ROWS, COST, LINK = comparison_page.read(ROOT / RESULTS)
BOUNDED = [(r["name"], r["seed"], name, value) for results in ROWS.values() for r in results
           for name, value in r.get("working", {}).items() if working.wanted(r["row"], name)]


def test_there_is_a_comparison():
    if not ROWS:
        pytest.skip("no comparison committed; make one with make compare")
    assert set(ROWS) <= set(configs.ALL) | {"rule"}


def test_the_page_is_the_figures():
    if not ROWS:
        pytest.skip("no comparison committed")
    assert (ROOT / comparison_page.PAGE).read_text() == "\n\n".join(comparison_page.page(ROWS, COST, LINK)) + "\n"


def test_scatter_is_no_less_than_is_usual():
    runs = lambda *accuracies: [{"figures": {"both_accuracy": a}} for a in accuracies]
    rows = {"steady": runs(0.9, 0.9), "usual": runs(0.90, 0.92), "wild": runs(0.7, 0.9), "once": runs(0.9)}
    usual, wild = 0.02 / 2**0.5, 0.2 / 2**0.5
    assert comparison_page.scatter(rows, "steady", "once") == pytest.approx(usual)
    assert comparison_page.scatter(rows, "steady", "wild") == pytest.approx(wild)
    assert comparison_page.scatter({"once": runs(0.9)}, "once") == 0


@pytest.mark.parametrize(("row", "seed", "name", "value"), BOUNDED, ids=lambda v: str(v))
def test_each_row_works(row, seed, name, value):
    held = working.holds(name, value)
    if not held and (row, name) in comparison_page.SHORT:
        pytest.xfail(f"stated in docs/comparison.md: {comparison_page.SHORT[row, name]}")
    assert held


def test_the_local_loss_ties_frames_to_the_units_of_their_own_seconds():
    """Row 3 against row 2: three times the attention lies on the true window's units."""
    if not {"align-global", "align-local"} <= set(ROWS):
        pytest.skip("no comparison committed")
    tied, free = (np.mean([r["working"]["units_mass"] for r in ROWS[name]]) for name in ("align-local", "align-global"))
    assert tied >= 3 * free


@pytest.mark.parametrize("pool", ["120", "480"])
@pytest.mark.parametrize("row", ["align-local", "align-local-long", "product"])
def test_an_injected_clock_offset_is_found(row, pool):
    """−3 … +3 s within ±1 s in nine pools of ten that hold an event."""
    if row not in ROWS:
        pytest.skip("no comparison committed")
    share = comparison_page.found_within(ROWS[row], pool)
    if share < 0.9 and (row, pool) == ("align-local", "120"):
        pytest.xfail(f"stated in docs/comparison.md: {share:.3f} of pools of 120 s")
    assert share >= 0.9


@pytest.mark.parametrize("path", sorted((ROOT / RESULTS).glob("*-[0-9]*.json")), ids=lambda p: getattr(p, "stem", "none"))
def test_figures_are_sound(path):
    result = json.loads(path.read_text())
    f = result["figures"]
    assert 0.5 <= f["both_accuracy"] <= 1 and 0.5 <= f["both_auroc"] <= 1
    assert f["both_accuracy"] == pytest.approx(1 - (f["both_fdr"] + f["both_mdr"]) / 2, abs=2e-4)

"""The committed comparison: its page follows from its figures, and each row passes its sanity checks.

The figures come from trained weights and held-out batches (make compare). A claim that
one system beats another is not tested but printed, with its figures, whether it
holds or not.
"""

import copy
import json
import pathlib

import numpy as np
import pytest
from inference.train.comparison import report, sanity
from inference.train.comparison.compare import RESULTS
from inference.train.training import configs

from .conftest import missing

ROOT = pathlib.Path(__file__).parents[3]
ROWS, COST, LINK = report.read(ROOT / RESULTS)
BOUNDED = [(kind().name, bound) for kind in configs.ROWS for bound in sanity.BOUNDS if sanity.wanted(kind().row, bound)]
# (row, pool) for which less than nine pools of ten find the offset.
LOST = [("align-local", "120")]


def committed(*rows):
    """The results of rows."""
    for row in rows:
        if row not in ROWS:
            missing(f"no comparison of {row} committed; make one with make compare")
    return [ROWS[row] for row in rows]


def test_there_is_a_comparison():
    committed("rule", "senses", *(kind().name for kind in configs.ROWS))
    assert set(ROWS) <= set(configs.ALL) | {"rule"}


def test_the_page_is_the_figures():
    committed("rule", "senses")
    assert (ROOT / report.PAGE).read_text() == "\n\n".join(report.page(ROWS, COST, LINK)) + "\n"


def test_scatter_is_no_less_than_is_usual():
    runs = lambda *accuracies: [{"figures": {"both_accuracy": a}} for a in accuracies]
    rows = {"steady": runs(0.9, 0.9), "usual": runs(0.90, 0.92), "wild": runs(0.7, 0.9), "once": runs(0.9)}
    usual, wild = 0.02 / 2**0.5, 0.2 / 2**0.5
    assert report.scatter(rows, "steady", "once") == pytest.approx(usual)
    assert report.scatter(rows, "steady", "wild") == pytest.approx(wild)
    assert report.scatter({"once": runs(0.9)}, "once") == 0


@pytest.mark.parametrize(("row", "bound"), BOUNDED)
def test_each_row_works(row, bound):
    works(row, bound, *committed(row))


def works(row, bound, results):
    """Every seed keeps the bound; a row that is said to miss it does not keep it by their mean either."""
    known = report.known(results, bound)
    assert known, f"{row} was not measured for {bound}: run make compare"
    if (row, bound) in report.SHORT:
        assert not report.keeps(results, bound), f"{row} keeps {bound}: take its reason out of SHORT"
        pytest.xfail(f"stated in docs/comparison.md: {report.SHORT[row, bound](results)}")
    assert all(sanity.holds(bound, value) for value in known), known


def test_a_figure_that_is_missing_or_a_row_that_recovers_is_a_failure():
    (short,), (well,) = committed("qformer"), committed("align-local")
    with pytest.raises(pytest.xfail.Exception):
        works("qformer", "retrieval", short)
    with pytest.raises(AssertionError, match="take its reason out of SHORT"):
        works("qformer", "retrieval", altered(short, "retrieval", 6.0))
    works("align-local", "units_loss_rise", well)
    with pytest.raises(AssertionError, match="was not measured"):
        works("align-local", "units_loss_rise", altered(well, "units_loss_rise", None))
    with pytest.raises(AssertionError):
        works("align-local", "units_loss_rise", altered(well, "units_loss_rise", 0.0))


def altered(results, bound, value):
    """The same results with another figure in every seed; None takes it out of one."""
    changed = copy.deepcopy(results)
    if value is None:
        del changed[0]["working"][bound]
        return changed
    for r in changed:
        r["working"][bound] = value
    return changed


def test_what_the_page_says_of_a_bound_is_what_the_figures_say():
    committed("rule", "senses", *(kind().name for kind in configs.ROWS))
    retrieval, rise = (sanity.BOUNDS[name][0] for name in ("retrieval", "units_loss_rise"))
    told = lambda rows, row, text: [line for line in report.page(rows, COST, LINK) for line in line.split("\n")
                                    if line.startswith(f"- {row}, {text}")]
    for row, name, text, value, wanted in (
        ("qformer", "retrieval", retrieval, 4.9, "**short of it on these data** (4.900, wanted ≥ 5)"),
        ("qformer", "retrieval", retrieval, 5.0, None),
        ("align-local", "units_loss_rise", rise, 0.0, "**short of it on these data** (0.000, wanted > 0)"),
        ("align-local", "units_loss_rise", rise, None, "**not measured**"),
    ):
        lines = told(ROWS | {row: altered(ROWS[row], name, value)}, ROWS[row][0]["title"], text)
        assert [wanted in line for line in lines] == ([] if wanted is None else [True]), (row, name, value, lines)


def test_in_ci_a_missing_artefact_is_a_failure(monkeypatch):
    for ci, outcome in (("true", pytest.fail.Exception), ("", pytest.skip.Exception)):
        monkeypatch.setenv("CI", ci)
        with pytest.raises(outcome, match="no comparison of nothing committed"):
            committed("nothing")


def test_the_local_loss_ties_frames_to_the_codes_of_their_own_seconds():
    """Row 3 against row 2: three times the attention lies on the codes of the true window."""
    tied, free = (np.mean([r["working"]["units_mass"] for r in results]) for results in committed("align-local", "align-global"))
    assert tied >= 3 * free


@pytest.mark.parametrize("pool", ["120", "480"])
@pytest.mark.parametrize("row", ["align-local", "align-local-long", "product"])
def test_an_injected_clock_offset_is_found(row, pool):
    """−3 … +3 s within ±1 s in nine pools of ten that hold an event."""
    (results,) = committed(row)
    share = report.found_within(results, pool)
    if (row, pool) in LOST:
        assert share < 0.9, f"{share:.3f}: take the row out of LOST"
        pytest.xfail(f"stated in docs/comparison.md: {share:.3f} of pools of {pool} s")
    assert share >= 0.9


@pytest.mark.parametrize("path", sorted((ROOT / RESULTS).glob("*-[0-9]*.json")), ids=lambda p: getattr(p, "stem", "none"))
def test_figures_are_sound(path):
    result = json.loads(path.read_text())
    f = result["figures"]
    assert 0.5 <= f["both_accuracy"] <= 1 and 0.5 <= f["both_auroc"] <= 1
    assert f["both_accuracy"] == pytest.approx(1 - (f["both_fdr"] + f["both_mdr"]) / 2, abs=2e-4)

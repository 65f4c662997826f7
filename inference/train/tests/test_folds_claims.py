"""What the page of the folds says follows from the figures, and it says what is not measured."""

import pathlib

import numpy as np
import pytest
from inference.train.comparison import folds, folds_claims, folds_page, report
from inference.train.comparison.claims import HOLDS, NOT, SAME

ROOT = pathlib.Path(__file__).parents[3]


def runs(row, *accuracies, **more):
    """Results of a row, a seed each."""
    number, title = folds.head_of(row)
    return [{"row": row, "seed": seed + 1, "number": number, "title": title, "windows": 51200, "cpu_seconds": 60.0, "settings": {"unimodal": "0a"},
             "figures": {"both_accuracy": a, "video_accuracy": 0.8, "current_accuracy": 0.7} | more} for seed, a in enumerate(accuracies)]


def fold(**rows):
    """row → results, of accuracies by row's name with _ for -."""
    return {row.replace("_", "-"): runs(row.replace("_", "-"), *accuracies) for row, accuracies in rows.items()}


STEADY = (0.900, 0.902, 0.901)


@pytest.mark.parametrize(("one", "other", "wanted"), [
    ((0.910, 0.911, 0.912), STEADY, HOLDS),
    (STEADY, (0.910, 0.911, 0.912), NOT),
    ((0.9025, 0.9015, 0.9035), STEADY, SAME),  # by 1.5 of 1 point in a thousand
    ((0.899, 0.921, 0.910), STEADY, SAME),  # far, but so are its own seeds
    ((0.99,), STEADY, folds_claims.ONE),
    (STEADY, (0.80,), folds_claims.ONE),
    ((), STEADY, folds_claims.UNMEASURED),
])
def test_two_systems_are_parted_by_more_than_twice_the_scatter(one, other, wanted):
    known = {"mlf": runs("mlf", *one), "clmlf": runs("clmlf", *other)}
    assert folds_claims.verdict(folds_claims.of_rows(known, "mlf", "clmlf")) == wanted


def test_seeds_that_lie_close_by_chance_have_the_scatter_of_the_fold():
    close = {"mlf": runs("mlf", 0.910, 0.910, 0.910), "clmlf": runs("clmlf", 0.905, 0.905, 0.905)}
    assert folds_claims.of_rows(close, "mlf", "clmlf").parted
    wide = close | {"qformer": runs("qformer", 0.88, 0.90, 0.92), "onellm": runs("onellm", 0.5)}
    found = folds_claims.of_rows(wide, "mlf", "clmlf")
    assert not found.parted and found.scatter == pytest.approx(0.02 / 3**0.5)


def test_pairs_are_counted_by_fold_and_direction():
    high, low = (0.930, 0.931, 0.932), (0.880, 0.881, 0.882)
    measured, found = folds_claims.parted({
        "emission": fold(mlf=high, clmlf=low, qformer=low, onellm=high), "metal": fold(mlf=high, clmlf=low, qformer=high, fmformer=(0.5,))})
    assert len(measured) == 6
    assert [(a, b, folds_claims.agreeing(each)) for a, b, each in found][0] == ("mlf", "clmlf", 2)
    one = {(a, b): each for a, b, each in found if folds_claims.agreeing(each) == 1}
    assert one["mlf", "qformer"]["metal"].verdict == SAME and "metal" not in one["onellm", "clmlf"]
    assert ("qformer", "clmlf") in one and ("clmlf", "qformer") not in one
    turned = folds_claims.parted({"emission": fold(mlf=high, clmlf=low), "metal": fold(mlf=low, clmlf=high)})[1]
    assert len(turned) == 1 and folds_claims.agreeing(turned[0][2]) == 1, "parted on both, in opposite ways"


def test_chance_is_told():
    three = {"emission": fold(mlf=STEADY, clmlf=STEADY, qformer=(0.9,))}
    assert folds_claims.by_chance(three) == pytest.approx(0.0143, abs=1e-4)  # one pair, 2.45 standard errors
    assert folds_claims.by_chance({"emission": fold(mlf=(0.9,))}) == 0


IN_HOUSE = fold(mlf=(0.99, 0.991), mlf_label=(0.995, 0.9951), align_global=(0.99, 0.99), align_local=(0.9901, 0.99), product_equal=(0.996, 0.996)) | {
    "senses": runs("summed", 0.98), "rule": runs("rule", 0.8)}


def test_claims_of_the_house_are_held_against_the_folds():
    known = {row: runs(row, *STEADY) for row in folds.ROWS} | fold(
        mlf_label=(0.88, 0.881, 0.882), align_global=(0.79, 0.80, 0.81), align_local=(0.90,), product_equal=(0.95, 0.951, 0.952)) | {"rule": runs("rule", 0.6)}
    told = {text: (there, here(known)) for text, there, here in folds_claims.in_house(IN_HOUSE)}
    assert told["LBCL helps MLF"] == (HOLDS, NOT)
    assert told["The local loss helps the verdict"] == (SAME, folds_claims.ONE)
    assert told["Looking at both together beats adding the senses' logits"] == (HOLDS, HOLDS)
    assert told["AlignVSR's global alignment beats video alone"] == (HOLDS, SAME)
    assert told["MLF beats either sense"] == (HOLDS, HOLDS)
    assert told["The product is the best of the table, at equal steps"] == (HOLDS, HOLDS)
    assert told["The rule is at least 3 points below every fused model"] == (HOLDS, HOLDS)
    assert "DBCL helps MLF" not in told, "the house has no figures of it"


@pytest.mark.parametrize("known", [{}, {row: runs(row, *STEADY) for row in ("mlf", "product-equal", "rule")}])
def test_a_claim_about_all_rows_needs_them_all(known):
    told = {text: here(known) for text, _, here in folds_claims.in_house(IN_HOUSE)}
    for text in ("The product is the best of the table, at equal steps", "The rule is at least 3 points below every fused model", "LBCL helps MLF"):
        assert told[text] == folds_claims.UNMEASURED


def page(found, welds=""):
    return "\n\n".join(folds_page.page(found, IN_HOUSE, welds))


def nothing():
    return {kind: {name: {} for name in folds.FOLDS} for kind in folds.TOKENIZERS}


def test_a_page_without_figures_says_so():
    text = page(nothing())
    assert "70 of 70 runs with shared tokenizers are not measured; 22 of 22 runs with own tokenizers" in text
    assert text.count("tokenizers\n\nNot measured.") == 4 and "no two systems have several seeds" in text
    assert "Rank correlation: not measured" in text and "nan" not in text and "**parted**" not in text
    assert "0 runs so far took 0.0 CPU-hours" in text


def test_a_page_with_some_cells_says_which_are_missing():
    found = nothing()
    more = {"onsets": 80, "onsets_missed": 4, "test_batches": 40, "test_seconds": 9000, "mixed_normal_hours": 9.5, "mixed_false_alarms": 2}
    found[folds.SHARED]["emission"] = {"mlf": runs("mlf", *STEADY, **more), "summed": runs("summed", 0.85, 0.851, 0.852), "clmlf": runs("clmlf", 0.95)}
    text = page(found, "| row | system | 20 s found |\n| --- | --- | --- |\n| 4 | MLF only | 0.5 ± 0.1 |\n")
    assert "| 4 | MLF only | 3 | 51200 | 0.9010 ± 0.0010 | +5.00 |" in text and "40 melts with 80 onsets" in text
    assert "63 of 70 runs with shared tokenizers" in text
    assert "| 4 MLF only | 9 sum of the senses' own logits | +5.00 points, scatter 0.10, **parted** | not measured | 1 of 2 |" in text
    assert "7 CLMLF" not in text.split("## Which systems are parted")[1].split("## What docs")[0], "one seed: no claim"
    assert "| 10e | the product, on the terms of all others | 0 | not measured |" in text
    assert "By accuracy, parted on both folds, the same way: 0 pairs; on one, or on both in opposite ways: 1." in text
    assert "By AUROC, **no pair" in text and "0.9010 (2)" in text and "0.5000 (1)" in text


def test_the_page_tells_a_codebook_of_another_network():
    found = nothing()
    found[folds.SHARED]["metal"], found[folds.OWN]["metal"] = fold(mlf=STEADY), fold(mlf=(0.9,))
    assert "trained again" not in page(found)
    found[folds.OWN]["metal"]["mlf"][0]["settings"] = {"unimodal": "0b"}
    assert "weights 0b, those of the shared tokenizers 0a." in page(found)


def test_the_plain_statement_stands_where_no_pair_is_parted():
    found = nothing()
    found[folds.SHARED]["metal"] = fold(mlf=STEADY, clmlf=STEADY)
    assert "By accuracy, **no pair of systems is parted by more than 2 times the scatter**" in page(found)


def test_the_order_on_welds_is_read_from_its_page():
    welds = folds_claims.on_welds((ROOT / "docs" / folds_page.WELDS).read_text())
    assert {"1", "2", "3", "10e"} <= set(welds) and all(0 < v < 1 for v in welds.values())
    assert folds_claims.on_welds("| row | other |\n| --- | --- |\n| 1 | 0.5 |\n") == {}


def test_orders_are_compared_over_the_rows_of_both():
    one, other = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.1}, {"a": 0.5, "b": 0.4, "c": 0.1, "e": 1}
    assert folds_claims.correlation(one, other) == (pytest.approx(1.0), 3)
    assert folds_claims.correlation(one, {"a": 0.1, "b": 0.4, "c": 0.5}) == (pytest.approx(-1.0), 3)
    assert folds_claims.correlation(one, {"a": 1, "b": 0}) is None


def test_the_committed_page_is_the_figures():
    found, house = folds_page.read(ROOT / "docs/comparison/folds"), report.read(ROOT / report.RESULTS)[0]
    text = "\n\n".join(folds_page.page(found, house, (ROOT / "docs" / folds_page.WELDS).read_text())) + "\n"
    assert (ROOT / "docs/comparison-folds.md").read_text() == text


def test_committed_figures_are_sound():
    for results in (r for by_fold in folds_page.read(ROOT / "docs/comparison/folds").values() for known in by_fold.values() for r in known.values()):
        for f in (r["figures"] for r in results):
            assert np.isfinite(f["both_accuracy"]) and f["both_accuracy"] == pytest.approx(1 - (f["both_fdr"] + f["both_mdr"]) / 2, abs=2e-4)

"""The whole comparison in small: train, evaluate, write, resume, print the page."""

import dataclasses
import json

import pytest
from inference.train.comparison import compare, report
from inference.train.data import cache, window
from inference.train.evaluation import operating_point
from inference.train.training import checkpoint, configs, fit

from .conftest import SMALL

QUIET = {"log": lambda _: None}
ROWS = (configs.MLF, configs.OneLLM, configs.Product)


@pytest.fixture(scope="module")
def data(folder, tokens):
    part = lambda split: cache.read(tokens, folder, split, rerolls=split == "train")
    return compare.Data(part("train"), part("val"), part("test"), part("val"), part("test"), {"mist": part("test")})


@pytest.fixture(scope="module")
def results(folder, unimodal, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("comparison")
    apart = checkpoint.load(unimodal)
    compare.write(apart.config, folder, compare.assess(apart, data), out)
    rule = dataclasses.replace(apart.config, name="rule", title="the rule")
    compare.write(rule, folder, compare.reference(data), out)
    for kind in ROWS:
        config = kind(**SMALL)
        model = fit.fit_on_tokens(config, data.train, unimodal, **QUIET)
        compare.write(config, folder, compare.assess(model, data), out)
    return out


def test_a_result_is_not_made_twice(folder, results):
    assert compare.done(configs.MLF(**SMALL), folder, results)
    assert not compare.done(configs.MLF(**SMALL, seed=2), folder, results)
    assert not compare.done(configs.MLF(**SMALL | {"steps": 5}), folder, results), "another config is another run"


def test_first_seeds_come_first_and_variants_once(folder, tmp_path):
    left = [(c.name, c.seed) for c in compare.todo(["mlf", "mlf-mean", "product"], [1, 2], folder, tmp_path)]
    assert left == [("mlf", 1), ("mlf-mean", 1), ("product", 1), ("mlf", 2), ("product", 2)]


def test_results_say_all_that_the_page_needs(results):
    result = json.loads((results / "product-1.json").read_text())
    assert set(result["conditions"]) >= {"no camera", "no current", "mist", "offset +3 s"}
    assert set(result["offset"]["within_1_s"]["120"]) == {str(s) for s in range(-3, 4)}
    assert set(result["filters"]) == {str(n) for n in operating_point.LENGTHS}
    assert len(result["example"]["frame_weight"][0]) == len(result["example"]["attention"]) == window.FRAMES
    assert result["router"] is None and len(result["roc"]) == compare.ROC_POINTS
    one = json.loads((results / "onellm-1.json").read_text())
    assert sum(one["router"]["router_video"]) == pytest.approx(1, abs=1e-3)


def test_the_page_is_made_of_the_results(results, tmp_path):
    report.main(["--results", str(results), "--page", str(tmp_path / "comparison.md")])
    text = (tmp_path / "comparison.md").read_text()
    figures = json.loads((results / "mlf-1.json").read_text())["figures"]
    assert f"| 4 | MLF only | 1 | {SMALL['steps'] * SMALL['windows']} | {figures['both_accuracy']:.4f} |" in text
    assert "**Not finished**" in text and "CLMLF (LBCL + DBCL) (3 more)" in text
    assert "Fusing halves the error" in text and "expert" in text
    for plot in ("roc", "delay", "filter", "robustness", "offset", "example", "router"):
        assert (results / f"{plot}.svg").stat().st_size > 1000


def test_the_page_repeats_to_the_byte(results, tmp_path):
    for name in ("a.md", "b.md"):
        report.main(["--results", str(results), "--page", str(tmp_path / name)])
        (tmp_path / f"{name}.svg").write_bytes((results / "roc.svg").read_bytes())
    assert (tmp_path / "a.md").read_text() == (tmp_path / "b.md").read_text()
    assert (tmp_path / "a.md.svg").read_bytes() == (tmp_path / "b.md.svg").read_bytes()

"""The command that trains and judges rows on welds: its runs, what it refuses, and its page."""

import numpy as np
import pytest
from inference.train.comparison import welds as study
from inference.train.comparison import welds_figures, welds_offset, welds_page, welds_rows
from inference.train.data import welds

from .test_welds import save, synthetic, with_nan


@pytest.fixture(scope="module")
def known():
    return [synthetic(name) for name in ("a", "b", "c", "d")]


@pytest.fixture(scope="module")
def folder(known, tmp_path_factory):
    folder = tmp_path_factory.mktemp("welds")
    for weld in known:
        save(folder, weld)
    return folder


@pytest.fixture(scope="module")
def finished(folder, tmp_path_factory):
    """A short look at two rows: the folder of results, and the page."""
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(welds_rows.WeldQFormerNetwork, "LAYERS", 1)  # tracing four takes half a minute
        assert study.main(command(folder, out, "--into", str(out / "page.md"))) == 0
    return out, (out / "page.md").read_text()


def command(folder, out, *more):
    return ["--data", str(folder), "--out", str(out), "--rows", "qformer", "product-shifts", "--seeds", "1",
            "--folds", "2", "--steps", "2", *more]


def test_the_page_has_every_row_and_says_where_it_comes_from(finished):
    out, page = finished
    assert "d3ec29c" in page and "UOU-Welding/weld-pool-prediction" in page and "no licence" in page
    for part in ("ridge regression", "Q-Former", "taught over the shifts", "## What holds", "× chance", "*Agrees*"):
        assert part in page
    assert "Not finished" not in page and "nan" not in page
    assert {p.name for p in out.glob("*.json")} == {"ridge-each.json", *(f"{r}-{f}-0.json" for r in ("ridge", "ridge-tokens") for f in (0, 1)),
                                                   *(f"{r}-{f}-1.json" for r in ("qformer", "product-shifts") for f in (0, 1))}
    assert not list(out.glob("*.h5")) and not list(out.glob("*.keras"))


def test_a_finished_study_is_not_run_again_and_an_unfinished_one_goes_on(finished, folder, capsys):
    out, page = finished
    before = {p.name: p.stat().st_mtime_ns for p in out.glob("*.json")}
    assert study.main(command(folder, out, "--into", str(out / "again.md"))) == 0
    assert "0 of 8 runs left," in capsys.readouterr().err
    assert before == {p.name: p.stat().st_mtime_ns for p in out.glob("*.json")}
    assert (out / "again.md").read_text() == page


def test_the_page_says_what_is_missing(finished, folder):
    out, _ = finished
    known = welds.read(folder)
    some = study.Study(known, welds.folds(known, 2), out, 2)
    rows = ("qformer", "product-shifts", "align-local")
    found, each = study.results(some, rows, (1, 2))
    del found["qformer"][1][1]
    page = "\n".join(welds_page.page(some, rows, (1, 2), found, each))
    assert "Q-Former (BLIP-2), seed 1 (1 of 2 folds)" in page and "AlignVSR, global + local, seed 2 (2 of 2 folds)" in page


@pytest.mark.parametrize("more", [("--steps", "3"), ("--folds", "3")])
def test_results_of_other_settings_are_refused(more, finished, folder, capsys):
    out, _ = finished
    assert study.main(command(folder, out, *more)) == 1
    told = capsys.readouterr().err
    assert ".json: was made with other settings" in told and "give --out a new folder" in told


def test_results_of_other_welds_and_damaged_ones_are_refused(finished, folder, tmp_path, capsys):
    out, _ = finished
    for weld in welds.read(folder)[:3]:
        save(tmp_path, weld)
    assert study.main(command(tmp_path, out)) == 1
    assert "other welds" in capsys.readouterr().err
    half = tmp_path / "out"
    half.mkdir()
    (half / "ridge-each.json").write_text("{")
    assert study.main(command(folder, half)) == 1
    assert "ridge-each.json: is not a run's result" in capsys.readouterr().err


def test_seeds_together_are_of_these_seeds(folder, tmp_path):
    known = welds.read(folder)
    some = study.Study(known, welds.folds(known, 2), tmp_path, 2)
    rng, job = np.random.default_rng(1), study.Job("product-shifts", 0, study.TOGETHER)
    for seed in (1, 2, 3):
        held = [known[n] for n in some.folds[0]]
        readings = [welds_offset.Codes(np.log(rng.dirichlet(np.ones(4), len(w))), rng.dirichlet(np.ones(4), 2 * len(w))) for w in held]
        each = study.Job("product-shifts", 0, seed)
        study.keep(tmp_path / f"{each.name}.npz", readings)
        some.write(each.name, each.row, study.answers(each, held, readings))
    study.together(some, ["product-shifts"], [1, 2])
    assert set(study.load_averaged(some, job, [1, 2])["welds"]) == {w.name for w in held}
    assert study.load_averaged(some, job, [1, 2, 3]) is None
    study.together(some, ["product-shifts"], [1, 2, 3])
    assert study.load_averaged(some, job, [1, 2, 3])["seeds"] == [1, 2, 3]
    assert not some.path("product-shifts-1-all").exists()


def test_a_bad_weld_ends_the_command_with_its_name(folder, tmp_path, known, capsys):
    save(tmp_path, known[0])
    path = save(tmp_path, known[1], current=with_nan(known[1].current, 3))
    assert study.main(command(tmp_path, tmp_path / "out")) == 1
    told = capsys.readouterr().err
    assert str(path) in told and "Traceback" not in told


def test_a_page_without_a_folder_is_refused_before_training(folder, tmp_path, capsys):
    assert study.main(command(folder, tmp_path / "out", "--into", str(tmp_path / "absent" / "page.md"))) == 1
    assert "its folder is missing; make it" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_claims_follow_the_figures():
    assert welds_page.told({"a": np.array([np.nan]), "b": np.array([0.5])}, "a", "b") == welds_page.UNMEASURED
    share = {"better": np.array([0.8, 0.82, 0.81]), "same": np.array([0.815, 0.80, 0.83]), "ridge": np.array([0.7])}
    assert welds_page.told(share, "better", "ridge") == welds_page.HOLDS
    assert welds_page.told(share, "ridge", "better") == welds_page.NOT
    assert welds_page.told(share, "better", "same") == welds_page.SAME
    assert "**does not hold" in welds_page.known_enough("X", np.array([0.6]), np.array([0.94]))
    assert welds_page.known_enough("X", np.array([0.5]), np.array([0.95])).count("holds")
    assert "nothing was called known" in welds_page.known_enough("X", np.array([0.0]), np.array([np.nan]))


def test_a_row_whose_answers_are_its_own_only_agrees_with_no_other():
    runs = lambda *owns: {1: {0: {"welds": {str(n): {"own": own} for n, own in enumerate(owns)}}}}
    found = welds_figures.agreement({"a": runs(0, 4), "b": runs(1, 5), "c": runs(-1, 3), "alone": runs(15, 4)})
    assert found == {"a": 1.0, "b": 1.0, "c": 1.0, "alone": 0.5}

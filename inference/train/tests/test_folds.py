"""The comparison on left-out furnaces in small: it goes on where it stopped, and refuses other settings and melts that are not unseen."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow
from inference.train import models
from inference.train.commands import compare_folds
from inference.train.comparison import folds, folds_data, folds_page, folds_run
from inference.train.data import cache, layout, sampler
from inference.train.training import checkpoint, configs, encode, fit

from .conftest import SMALL

# The terms of the tests' unimodal network.
OTHER = SMALL | {"normalisation": "mean", "sparse_current": False}
FOLD = folds.FOLDS["emission"]


def simulated(folder, target, names, seed=7, drift=1.5, picture="emission", current="autoregressive"):
    """A data set with what the simulator tells of its batches."""
    shutil.copytree(folder, target)
    batches = [{"name": n, "picture": picture, "records": [{"name": n, "current": current, "drift_ppm": drift + i, "current_delay_s": 0.5, "video_delay_s": 0}]}
               for i, n in enumerate(names)]
    (target / "dataset.json").write_text(json.dumps({"seed": seed, "batches": batches}))
    return target


@pytest.fixture(scope="module")
def scored(folder, tmp_path_factory):
    return simulated(folder, tmp_path_factory.mktemp("scored") / "emission", layout.names(folder, "test"))


@pytest.fixture(scope="module")
def study(folder, scored, unimodal, tokens, tmp_path_factory):
    """A study whose tokens of validation an earlier call has left, and whose own tokenizers' network is trained already."""
    out, told = tmp_path_factory.mktemp("folds"), []
    made = folds_run.Study(folds_data.Sources(FOLD, folder, folder, folder, scored), unimodal, tokens, out / "runs", out / "results", other=OTHER, log=told.append)
    made.told = told
    for part in ("val", "own"):
        left(made, part, unimodal, tokens, out / "runs" / FOLD.name / "tokens")
    assert len(made.shared["scored"]) == 1  # encoded here
    trained = made.folder(OWN_JOB)
    network = checkpoint.load(unimodal)
    network.config = made.config(OWN_JOB)
    checkpoint.save(network, trained, made.trained_on)
    for part in ("val", "own", "scored"):
        left(made, part, trained, made.runs / FOLD.name / "tokens" / part if part == "scored" else tokens, trained / "tokens")
    return made


OWN_JOB = folds.Job(FOLD.name, folds.OWN, folds.SUMMED, 1)
JOBS = list(folds.jobs(FOLD.name, rows=[folds.RULE, folds.SUMMED], seeds={folds.SHARED: (1, 2), folds.OWN: (1,)}))


def left(study, part, run, tokens, out):
    """Tokens of a part as an interrupted call leaves them."""
    encode.claim(out / part, run, study.sources.folder(part), study.identities[part])
    for name in study.sources.names[part]:
        for kind in (".npy", ".npz"):
            shutil.copy(tokens / f"{name}{kind}", out / part)


@pytest.fixture(scope="module")
def done(study):
    """The study after all jobs, interrupted once while the last one scores."""
    assess, interrupted = folds_run.assess, []

    def once(model, parts):
        if len(list(study.results.glob("*.json"))) == len(JOBS) - 1 and not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return assess(model, parts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folds_run, "assess", once)
        # Tracing the network takes longer than the few steps here.
        tensorflow.config.run_functions_eagerly(True)
        try:
            with pytest.raises(KeyboardInterrupt):
                folds_run.go_on(study, JOBS)
            before = len(study.told)
            folds_run.go_on(study, JOBS)
        finally:
            tensorflow.config.run_functions_eagerly(False)
    assert f"1 of {len(JOBS)} runs left" in study.told[before + 1]
    assert not any(line.startswith("step") for line in study.told[before:]), "the network was trained already"
    return study


def test_jobs_begin_with_the_first_seed_of_each():
    assert [job.name for job in JOBS] == ["emission-shared-rule-1", "emission-shared-summed-1", "emission-own-summed-1", "emission-shared-summed-2"]
    every = list(folds.jobs("metal"))
    assert len(every) == len({job.name for job in every}) == 2 + 3 * len(folds.ROWS) + len(folds.ROWS)


def test_a_run_that_is_done_is_not_done_again(done):
    stamps = {p.name: p.stat().st_mtime_ns for p in done.results.iterdir()}
    assert set(stamps) == {f"{job.name}.json" for job in JOBS}
    folds_run.go_on(done, JOBS)
    assert f"0 of {len(JOBS)} runs left" in done.told[-1]
    assert stamps == {p.name: p.stat().st_mtime_ns for p in done.results.iterdir()}
    assert not list(done.runs.rglob("own/*/tokens")), "tokens that nothing reads again are removed"


def test_figures_are_of_the_left_out_melts_and_windows_of_the_run(done):
    of = lambda job: json.loads(done.path(job).read_text())
    shared, own = (of(folds.Job("emission", kind, "summed", 1)) for kind in folds.TOKENIZERS)
    for result in (shared, own):
        assert result["windows"] == SMALL["steps"] * SMALL["windows"] and result["figures"]["onsets"] == 1
        assert result["figures"]["test_batches"] == 1 and result["cpu_seconds"] > 0


@pytest.mark.parametrize(("change", "told"), [
    ({"other": OTHER | {"steps": 5}}, r"emission-shared-summed-1.json: is of other settings \(steps 3, now 5\)"),
    ({"sources": "val"}, "emission-shared-rule-1.json: is of other settings .other data"),
])
def test_other_settings_are_refused_before_any_run(done, scored, tmp_path, change, told):
    if "sources" in change:
        more = simulated(scored, tmp_path / "val", ["batch-1"], seed=8, drift=40, picture="metal", current="arcs")
        (more / "val.json").write_text('["batch-0", "batch-1"]')
        change = {"sources": dataclasses.replace(done.sources, val=more)}
    other = dataclasses.replace(done, **change)
    with pytest.raises(ValueError, match=told):
        folds_run.go_on(other, JOBS)


def test_a_unimodal_network_of_other_data_is_refused(done, tmp_path):
    senses = tmp_path / "senses"
    shutil.copytree(done.senses, senses)
    (senses / "data.json").write_text('{"data": "of-another-fold"}')
    with pytest.raises(ValueError, match="senses: is of other settings .other data"):
        dataclasses.replace(done, senses=senses).check()
    with pytest.raises(ValueError, match="absent: has no trained network; train it on the fold's data"):
        dataclasses.replace(done, senses=tmp_path / "absent").check()


def sources(folder, scored, **changes):
    return folds_data.Sources(**{"fold": FOLD, "train": folder, "val": folder, "normal": folder, "scored": scored} | changes)


def test_melts_that_are_not_unseen_are_refused(folder, scored, tmp_path):
    sources(folder, scored).check()
    test = layout.names(folder, "test")
    trained = simulated(folder, tmp_path / "trained", ["batch-0"], seed=8, drift=1.5, picture="scene", current="arcs")
    joined = tmp_path / "joined"  # does not tell the seeds of its sources
    shutil.copytree(trained, joined)
    (joined / "dataset.json").write_text(json.dumps({"batches": json.loads((trained / "dataset.json").read_text())["batches"]}))
    same = simulated(folder, tmp_path / "same", ["batch-0"], seed=7, drift=40, picture="scene", current="arcs")
    spent = simulated(folder, tmp_path / "spent", test, seed=971)
    strange = simulated(folder, tmp_path / "strange", test, picture="metal")
    nameless = simulated(folder, tmp_path / "nameless", test, seed=None)
    for some, told in (
        (sources(folder, scored, train=joined), "has the seed of .*joined, so its melts are not unseen"),
        (sources(folder, scored, val=same), "has the seed of .*same"),
        (sources(folder, scored, normal=trained), "has the seed of .*trained"),
        (sources(folder, spent), "melts of seed 971 are read elsewhere"),
        (sources(folder, strange), "batch-2 is of metal and autoregressive; the fold emission is scored on emission and autoregressive alone"),
        (sources(folder, folder), "batch-2 is of scene and arcs"),
        (sources(folder, nameless), "does not tell a seed"),
    ):
        with pytest.raises(ValueError, match=told):
            some.check()


def test_families_that_are_left_out_neither_train_nor_choose(folder, scored, tmp_path):
    trains = simulated(folder, tmp_path / "trains", ["batch-0"], seed=9, drift=30, picture="metal")
    with pytest.raises(ValueError, match="batch-0 trains with autoregressive, which the fold emission leaves out"):
        sources(folder, scored, train=trains).check()
    # Its other batches have no family told, so they are of the own house.
    mixed = simulated(folder, tmp_path / "mixed", ["batch-0", "batch-1"], seed=9, drift=30, picture="emission", current="arcs")
    (mixed / "val.json").write_text('["batch-0", "batch-1", "batch-2"]')
    some = sources(folder, scored, val=mixed, normal=mixed)
    assert (some.names["val"], some.names["own"], some.names["elsewhere"]) == (["batch-2"], ["batch-2"], [])
    families = json.loads((mixed / "dataset.json").read_text())
    families["batches"][1]["picture"] = "metal"
    (mixed / "dataset.json").write_text(json.dumps(families))
    some = sources(folder, scored, val=mixed, normal=mixed)
    assert (some.names["own"], some.names["elsewhere"]) == (["batch-2"], ["batch-1"])
    (mixed / "val.json").write_text('["batch-0"]')
    with pytest.raises(ValueError, match="mixed: has no batch in val that the fold emission may use"):
        sources(folder, scored, val=mixed).check()


@pytest.mark.parametrize("row", sorted(folds.ROWS))
def test_every_row_is_on_the_same_terms(row):
    shared, own = (folds.config_of(row, kind, 2) for kind in folds.TOKENIZERS)
    assert shared.seed == 2 and (shared.steps, shared.windows, shared.learning_rate, shared.train_frames) == (configs.Run.steps, configs.Run.windows, configs.Run.learning_rate, False)
    assert own.steps == folds.STEPS[folds.OWN] and own.train_frames and own.windows == configs.UnimodalTransfer().windows
    assert all(getattr(c, k) == v for c in (shared, own) for k, v in folds.TERMS.items())


def test_the_estimate_keeps_the_limit():
    assert 0 < folds.expected_hours() <= folds.CPU_HOURS


def test_a_row_and_its_tokenizers_are_trained_together(study, unimodal, eager):
    config = configs.AlignLocal(**OTHER | {"steps": 2}, train_frames=True)
    keras.utils.set_random_seed(config.seed)
    start = [np.array(w) for w in models.build(config).frames.trainable_weights]
    model = folds_run.from_pixels(study, config, fit.Course(lambda _: None))
    assert all((np.array(w) != b).any() for w, b in zip(model.frames.trainable_weights, start, strict=True))
    with np.load(unimodal / "bank.npz") as kept:
        np.testing.assert_array_equal(np.array(model.bank.centres), kept["centres"])


def test_joint_windows_pair_the_senses(folder):
    batches, config = layout.read_split(folder, "train"), configs.AlignLocal(**OTHER | {"windows": 32, "drop_sense": 0.3})
    x, y = sampler.JointWindows(batches, config, 1, 5)[0]
    assert y["label"].mean() == 0.5 and 0 < x["paired"].mean() < 1 and 0 < x["there"].mean() < 1
    here = (x["sample_mask"].max(1) > 0) & (x["frame_seen"].max(1) > 0)
    assert not x["there"][:, 0][~here].any() and x["own_mask"].any(1).all()
    lagged = {batches[0].name: 1.5}
    alone = configs.AlignLocal(**OTHER | {"own_current": 1.0, "late": 0.0, "drop_sense": 0.0})
    a, b = (sampler.JointWindows(batches, alone, 1, 5, lags)[0][0]["own_current"] for lags in ({}, lagged))
    np.testing.assert_array_equal(a[:, 103:200], b[:, 100:197])
    views = sampler.JointWindows(batches, configs.CLMLF(**OTHER), 1, 5)[0]
    np.testing.assert_array_equal(views[1]["label"][:4], views[1]["label"][4:])
    assert (views[0]["frames"][:4] != views[0]["frames"][4:]).any()


def test_tokens_that_are_there_are_kept(done, folder, unimodal):
    out = done.runs / "emission" / "tokens" / "val"
    before = {p.name: p.stat().st_mtime_ns for p in out.iterdir()}
    assert cache.has(out, "batch-1")
    encode.write_streamed(checkpoint.load(unimodal), folder, "val", out, log=lambda _: None)
    assert before == {p.name: p.stat().st_mtime_ns for p in out.iterdir()}


def test_the_command_writes_the_page_and_names_what_a_fold_lacks(done, tmp_path, monkeypatch):
    compare_folds.main(["--results", str(done.results), "--page", str(tmp_path / "page.md")])
    text = (tmp_path / "page.md").read_text()
    result = json.loads(done.path(JOBS[1]).read_text())
    two = [json.loads(done.path(JOBS[i]).read_text())["figures"]["both_accuracy"] for i in (1, 3)]
    assert f"| 9 | sum of the senses' own logits | 2 | {result['windows']} | {np.mean(two):.4f} ± {np.std(two, ddof=1):.4f} | – |" in text
    assert "| 1 | Q-Former (BLIP-2) | 0 | not measured |" in text and "67 of 70 runs with shared tokenizers" in text
    assert "21 of 22 runs with own tokenizers" in text and "no two systems have several seeds" in text
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="data/fold-emission-mix: contains neither videos"):
        compare_folds.main(["--fold", "emission"])
    assert folds_page.read(done.results)[folds.OWN]["metal"] == {}

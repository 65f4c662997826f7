"""Adapting a toy model to a toy plant: what is chosen, what is bounded, what is refused, what is written."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from inference.train.adaptation import adapt, calibration, curve, curve_page, further, material, outcome, package, scoring, shipped, student, thresholds, windows
from inference.train.commands import adapt as command
from inference.train.commands.run import run
from inference.train.data import layout
from inference.train.evaluation import operating_point
from inference.train.evaluation.streaming import Predictions
from inference.train.export import release, saved_model
from inference.train.models.decision import Decision, states
from inference.train.training import configs

from .conftest import SECONDS, missing, write_batch

QUIET = lambda _: None
DECISION, SUSPECT = Decision(30, 0.96, 0.672), Decision(8, 0.94, 0.658)
MANIFEST = {"name": "toy", "version": "0.4.0", "decision": vars(DECISION) | {"suspect": vars(SUSPECT), "freeze_background": 0.5},
            "rule": {"cv_120": 0.0529, "cv_45": 0.0331}, "metrics": {"parameters": 5.0, "offset_bias_s": 0.4, "both_accuracy": 0.99}}
FEW = student.Training(steps=2, windows=4, frames=1, parts=1)


@pytest.fixture(scope="module")
def plant(folder, tmp_path_factory):
    """Normal hours of a plant: three batches without a label, two to choose on."""
    out = tmp_path_factory.mktemp("normal")
    for part in ("videos", "currents", "timestamps", "labels"):
        (out / part).mkdir()
    for i in range(3):
        write_batch(out, f"hours-{i}", seed=10 + i, rerolls=0)
        rows = "".join(f"{s},0,\n" for s in range(SECONDS))
        (out / "labels" / f"hours-{i}.csv").write_text("time,label,onset\n" + rows)
    for split, names in (("train", []), ("val", ["hours-0", "hours-1"]), ("test", ["hours-2"])):
        (out / f"{split}.json").write_text(json.dumps(names))
    return out


def scored(p, label=0, current=None, video=None, logits=None, folder="data/own-normal", name="hours-0"):
    """A scored batch with these verdicts."""
    p = np.asarray(p, float)
    label = np.broadcast_to(np.asarray(label), p.shape).astype(np.int8)
    always, of = np.ones(len(p), bool), lambda x: p if x is None else np.asarray(x, float)
    told = Predictions(name, label, np.full(len(p), np.nan), always, p, p, of(current), of(video), {"both": always, "current": always, "video": always})
    batch = type("Batch", (), {"name": name, "label": label})
    return scoring.Scored(folder, batch, told, logits or {}, {"current": always, "video": always})


# What a verdict claims.


def honest(rng, n=4000):
    """Logits of normal seconds whose mean likelihood ratio is 1: of two normal densities two deviations apart."""
    return rng.normal(-2.0, 2.0, n)


def test_a_verdict_that_claims_too_much_is_told():
    rng = np.random.default_rng(0)
    assert calibration.excess([honest(rng) for _ in range(10)]) == pytest.approx(0, abs=0.15)
    assert calibration.excess([honest(rng) + 0.7 for _ in range(10)]) == pytest.approx(0.7, abs=0.15)
    assert np.isnan(calibration.excess([]))
    # One batch of ten that is abnormal is left out.
    assert calibration.excess([honest(rng) - 0.5 for _ in range(9)] + [np.full(4000, 4.5)]) < 0
    logits = {"logit": honest(rng), "logit_current": honest(rng) + 2, "logit_video": honest(rng) - 2}
    found = calibration.claims([scored(np.full(4000, 0.1), logits=logits)])
    assert list(found) == ["both senses", "current", "video"] and found["current"] > found["both senses"] + 1 > found["video"] + 2


# Thresholds.


def quiet_hours(hours, peak, seed=0, batches_an_hour=2):
    """Normal hours whose p has a short peak in each batch, evenly spread up to a peak."""
    rng, out = np.random.default_rng(seed), []
    for i in range(hours * batches_an_hour):
        p = np.full(3600 // batches_an_hour, 0.02)
        p[600:650] = rng.uniform(0.02, peak)
        out.append(scored(p, name=f"hours-{i}"))
    return out


def of(some):
    return [s.predictions for s in some]


@pytest.mark.parametrize("peak", [0.3, 0.9, 0.99, 0.99999])
@pytest.mark.parametrize("hours", [1, 5, 20])
def test_thresholds_move_within_their_bounds(hours, peak):
    for shipped_one, choose in ((DECISION, thresholds.alarm), (SUSPECT, thresholds.suspect)):
        found = choose(shipped_one, of(quiet_hours(hours, peak)))
        by = thresholds.logit(found.enter) - thresholds.logit(shipped_one.enter)
        assert -thresholds.MOST_DOWN - 0.02 <= by <= thresholds.MOST_UP + 0.02
        assert found.exit / found.enter == pytest.approx(shipped_one.exit / shipped_one.enter, abs=0.002)
        assert (found.mean_seconds, found.hold_seconds) == (shipped_one.mean_seconds, shipped_one.hold_seconds)


def test_false_alarms_raise_the_threshold_and_quiet_hours_lower_it_by_more_the_more_there_are():
    loud = quiet_hours(5, 0.3)
    loud[3].predictions.both[100:200] = 0.965
    raised = thresholds.alarm(DECISION, of(loud))
    assert raised.enter > 0.965 and not operating_point.false_alarms(of(loud), raised)[0]
    lowered = [thresholds.alarm(DECISION, of(quiet_hours(hours, 0.4))).enter for hours in (1, 5, 20)]
    assert 0.96 == lowered[0] > lowered[1] > lowered[2] >= 0.92
    assert thresholds.alarm(DECISION, of(quiet_hours(20, 0.94))) == DECISION


def test_a_hidden_melt_still_alarms_with_the_thresholds_it_has_moved():
    hours = quiet_hours(5, 0.5)
    hours[2].predictions.both[400:900] = 0.99
    moved = thresholds.alarm(DECISION, of(hours))
    p = hours[2].predictions
    assert states(p.both, p.decided, moved)[400:900].any()


def test_few_minutes_move_nothing_down():
    assert thresholds.alarm(DECISION, of([scored(np.full(700, 0.01))])) == DECISION


# Alarms in hours that were given as normal.


def test_alarms_are_named_by_file_and_second_and_refused_where_both_senses_agree():
    both, one = np.full(900, 0.02), np.full(900, 0.02)
    both[300:500] = one[100:300] = 0.999
    hours = [scored(both, name="melt-7"), scored(one, current=np.full(900, 0.1), name="melt-8"), scored(np.full(900, 0.02))]
    found = scoring.alarms(hours, DECISION)
    assert [(a.where, a.agreed, a.lasting) for a in found] == [("data/own-normal, melt-7", True, True), ("data/own-normal, melt-8", False, False)]
    assert 300 < found[0].first < 330 and 500 < found[0].last < 550
    with pytest.raises(ValueError, match=r"look abnormal \(data/own-normal, melt-7: 3\d\d to 5\d\d s, both senses agree\); take .* or look"):
        adapt.refuse_abnormal(found, confirmed=False)
    adapt.refuse_abnormal(found, confirmed=True)
    adapt.refuse_abnormal(found[1:], confirmed=False)
    brief = np.full(900, 0.02)
    brief[300:331] = 0.999
    adapt.refuse_abnormal(scoring.alarms([scored(brief)], DECISION), confirmed=False)


# What is given.


def refusal(capsys, *words):
    """The one line with which the command refuses."""
    assert run(lambda: command.main([*map(str, words)])) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("error: ") and not any("Traceback" in line for line in lines)
    return lines[-1]


def test_bad_input_is_refused_in_one_line(plant, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(release, "AGENT", pathlib.Path(sys.executable))
    out, model = ("--out", tmp_path / "own"), tmp_path / "model"
    of_model = ("--model", model, *out)
    normal = ("--normal", plant)
    empty = tmp_path / "empty"
    (empty / "videos").mkdir(parents=True)
    for split in layout.SPLITS:
        (empty / f"{split}.json").write_text("[]")
    for words, told in (
            ((*of_model, *normal), "model: is missing; name a model folder"),
            ((*of_model,), "nothing to adapt to; name normal hours with --normal"),
            ((*of_model, "--normal", tmp_path / "none"), "none: contains neither videos/"),
            ((*of_model, "--normal", empty), "empty: no batch is named in val.json or test.json"),
            ((*of_model, "--labelled", empty), "empty: no batch is named in train.json, val.json or test.json"),
            ((*of_model, *normal, "--replay", folder), "--replay is for training on labelled batches"),
            ((*of_model, *normal, "--labelled", plant), "is given as normal and as labelled"),
            ((*of_model, *normal, "--key", tmp_path / "desk.key"), "--key and --key-name belong together"),
            ((*of_model, *normal, "--key", tmp_path / "desk.key", "--key-name", "desk"), "desk.key: is missing; make a key"),
            (("--model", model, "--out", model, *normal), "is the shipped model's own folder")):
        assert told in refusal(capsys, *words), words
    model.mkdir()
    for text, told in ((None, "manifest.json: is missing; name a model folder"), ("{", "manifest.json: is not JSON"), ("[]", "name is missing"),
                       (json.dumps({"name": "toy"}), "version is missing; copy the whole")):
        if text is not None:
            (model / "manifest.json").write_text(text)
        assert told in refusal(capsys, *of_model, *normal)
    assert not (tmp_path / "own").exists()


def test_hours_and_labels_are_checked(folder):
    batch = layout.read_batch(folder, "batch-0", rerolls=False)
    with pytest.raises(ValueError, match="data, batch-0: second 230 is labelled abnormal, in hours given as normal; take"):
        material.check_normal("data", batch)
    with pytest.raises(ValueError, match="no second is labelled normal; export"):
        material.check_enough([scored(np.zeros(900), label=-1)])
    with pytest.raises(ValueError, match="300 normal seconds, at least 600 are needed"):
        material.check_enough([scored(np.zeros(300))])
    for label, word in ((0, "abnormal"), (1, "normal")):
        one = dataclasses.replace(batch, label=np.full(SECONDS, label, np.int8))
        with pytest.raises(ValueError, match=f"data/own: no second is labelled {word}; label at least one"):
            material.check_labelled([("data/own", one)])


def test_labelled_batches_are_held_out_by_their_splits_or_by_turns(folder):
    batches = [("own", dataclasses.replace(layout.read_batch(folder, "batch-0", rerolls=False), name=f"melt-{i}")) for i in range(4)]
    names = lambda parts: [[b.name for _, b in part] for part in parts]
    by_split = {"train": batches[:2], "val": batches[2:3], "test": batches[3:]}
    assert names(material.divided(by_split, batches)) == [["melt-0", "melt-1"], ["melt-2"], ["melt-3"]]
    all_train = {"train": batches, "val": [], "test": []}
    assert names(material.divided(all_train, batches)) == [["melt-0", "melt-3"], ["melt-1"], ["melt-2"]]
    assert names(material.divided(all_train | {"train": batches[:2]}, batches[:2])) == [["melt-0", "melt-1"], [], []]


# Training further.


@pytest.fixture(scope="module")
def batches(folder):
    return [layout.read_batch(folder, f"batch-{i}", rerolls=False) for i in range(3)]


def test_windows_are_of_both_classes_and_of_all_sources(batches):
    training = student.Training(windows=8, frames=2, replayed=0.5)
    x, y = windows.drawn(batches[:1], batches[1:], configs.Toy(), training, 3, 1)[0]
    assert x["frames"].shape[:2] == (8, 2) and y["label"].sum() == 4
    x, y = windows.drawn(batches[:1], [], configs.Toy(), training, 3, 1)[0]
    assert len(y["label"]) == 8 and y["label"].sum() == 4
    again, _ = windows.drawn(batches[:1], [], configs.Toy(), training, 3, 1)[0]
    np.testing.assert_array_equal(x["frames"], again["frames"])
    quiet = dataclasses.replace(batches[0], label=np.zeros(SECONDS, np.int8))
    with pytest.raises(ValueError, match="the labelled batches contain only one class"):
        windows.drawn([quiet], [], configs.Toy(), training, 3, 1)
    with pytest.raises(ValueError, match="the replayed batches contain only one class"):
        windows.drawn(batches, [quiet], configs.Toy(), training, 3, 1)


def test_some_of_many_hours_are_trained_on():
    hours = [scored(np.zeros(1800), name=str(i)) for i in range(40)]
    some = windows.some_hours(hours, most=6)
    assert len(some) == 12 and some[0] == ("data/own-normal", "0") and some[-1] == ("data/own-normal", "39")
    assert len(windows.some_hours(hours[:3], most=6)) == 3 and windows.some_hours([]) == []


# The outcome.


def test_worse_is_told_with_both_figures():
    before = {"both_accuracy": 0.9, "onsets_missed": 1.0, "onsets": 4.0, "mixed_false_alarms": 0.0, "chosen_false_alarms": 2.0}
    assert outcome.worse(before, before) == ""
    assert "89.0 % of the held-out seconds are right, with the shipped model 90.0 %" in outcome.worse(before, before | {"both_accuracy": 0.89})
    assert "2 of 4 held-out onsets are missed, with the shipped model 1" in outcome.worse(before, before | {"onsets_missed": 2.0})
    assert outcome.worse(before, before | {"both_accuracy": 0.95, "onsets_missed": 0.0}) == ""
    # Thresholds that own false alarms ask for may miss more.
    assert outcome.worse(before, before | {"onsets_missed": 2.0, "chosen_false_alarms": 1.0}) == ""
    assert "no fewer alarms are false" in outcome.worse(before, before | {"onsets_missed": 2.0, "mixed_false_alarms": 1.0, "chosen_false_alarms": 1.0})


def test_figures_of_labelled_batches_and_of_hours_by_hand():
    label = np.where(np.arange(900) < 400, 0, 1)
    record = scored(np.where(label == 1, 0.99, 0.1), label, current=np.where(label == 1, 0.2, 0.1))
    record.predictions.onset[400:] = 400
    m = outcome.of_labelled([record], DECISION, SUSPECT)
    assert (m["both_accuracy"], m["current_accuracy"], m["onsets"], m["onsets_missed"]) == (1, 0.5, 1, 0)
    # 30 s must be abnormal by far before the mean reaches 0.96, 8 s before the other mean does.
    assert 25 <= m["delay_median_seconds"] <= 30 and m["suspect_delay_median_seconds"] < 8
    assert "false_alarms" not in m
    loud = scored(np.where(np.arange(3600) % 900 < 100, 0.999, 0.1))
    m = outcome.of_hours([loud], DECISION, SUSPECT)
    assert (m["false_alarms"], m["false_suspicions"], m["normal_hours"]) == (4, 4, 1) and m["called_abnormal"] == pytest.approx(1 / 9, abs=1e-3)


def test_the_manifest_keeps_what_is_not_adapted():
    manifest = MANIFEST | {"format": 1, "offset": {"most_s": 3.0}, "files": {}, "signatures": {}, "golden": {}, "labels": []}
    called = package.sections(manifest, dataclasses.replace(DECISION, enter=0.97), SUSPECT, {"cv_120": 0.04}, {"onsets": 3.0})
    assert called["offset"] == {"most_s": 3.0} and called["decision"]["freeze_background"] == 0.5
    assert called["decision"]["enter"] == 0.97 and called["decision"]["suspect"] == vars(SUSPECT)
    assert called["rule"] == {"cv_120": 0.04, "cv_45": 0.0331} and called["metrics"] == {"onsets": 3.0}
    assert (called["name"], called["version"]) == ("toy", "0.4.0+own") and not called.keys() & set(package.GENERATED)
    assert package.sections(called, DECISION, None, {}, {}, "f07", None)["version"] == "0.4.0+own"


# From a model to a model folder.


@pytest.fixture(scope="module")
def toy(model):
    """The toy product as a shipped model, with thresholds; recover.py is tested with the trainer."""
    decision = vars(Decision(5, 0.9, 0.45)) | {"suspect": vars(Decision(3, 0.8, 0.4)), "freeze_background": 0.5}
    called = release.sections(model.config, {"decision": {}, "rule": MANIFEST["rule"], "metrics": MANIFEST["metrics"]}, "abc")
    return shipped.Shipped(model, called | {"decision": decision})


@pytest.fixture(scope="module")
def calibrated(toy, plant, tmp_path_factory):
    """What the command makes of normal hours alone: its folder, and the public key of the package."""
    if not release.AGENT.exists():
        missing("bin/meltwatch is not built; run make build")
    out = tmp_path_factory.mktemp("adapted")
    key = out / "desk.key"
    public = subprocess.run([release.AGENT, "model", "keygen", key], check=True, capture_output=True, text=True).stdout.strip()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipped, "manifest_of", lambda folder: toy.manifest)
        patch.setattr(shipped, "opened", lambda *_: toy)
        command.main(["--model", str(out / "shipped"), "--normal", str(plant), "--out", str(out / "own"), "--every", "20", "--key", str(key), "--key-name", "desk"])
    return out, public


def test_normal_hours_alone_make_a_signed_model(calibrated):
    out, public = calibrated
    manifest = json.loads((out / "own" / saved_model.MANIFEST).read_text())
    assert (manifest["name"], manifest["version"], manifest["commit"]) == ("toy", "0.3.1+own", "abc")
    assert manifest["metrics"]["adapted_normal_hours"] == pytest.approx(0.22, abs=0.01) and manifest["metrics"]["normal_hours"] > 0.1
    verify = subprocess.run([release.AGENT, "model", "verify", out / "own.model", "--public", public], capture_output=True, text=True)
    assert verify.returncode == 0, verify.stderr


def test_the_page_tells_what_changed_and_on_what_it_was_judged(calibrated):
    out, _ = calibrated
    told = (out / "own.md").read_text()
    for words in ("# toy 0.3.1+own, adapted from toy 0.3.1", "from 0.2 h of normal work", "`decision.enter`", "`rule.cv_120`", "mean of exp(logit)",
                  "Normal hours that nothing was chosen on:", "No labelled batch was given", "own.model --shadow 1h"):
        assert words in told, words


def test_labelled_batches_train_the_network_and_judge_it(toy, folder, eager, monkeypatch):
    monkeypatch.setattr(further, "VALIDATING", 1)
    given = material.gathered([], [folder], [folder])
    score = lambda model, sources, what: [(model, sources)]
    before = [np.array(w) for w in toy.model.weights]
    taught = further.taught(toy, given, [], dataclasses.replace(FEW, steps=1, rate=0.003), score, QUIET)
    assert taught.episodes == 3 and taught.hours == []
    (shipped_one, sources), (other, again) = taught.before[0], taught.after[0]
    assert shipped_one is toy.model and other is taught.model and sources == again == [(str(folder), "batch-2")]
    assert taught.steps in (0, 1)
    moved = any(not np.array_equal(a, b) for a, b in zip(taught.model.weights, before, strict=True))
    assert moved == (taught.steps > 0)
    for a, b in zip(toy.model.weights, before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_worse_model_is_not_written(toy, folder, tmp_path, capsys, monkeypatch):
    figures = {"both_accuracy": 0.9, "onsets_missed": 0, "onsets": 1, "mixed_false_alarms": 0}
    found = adapt.Adapted(toy.model, DECISION, SUSPECT, MANIFEST["rule"], before=figures, after=figures | {"both_accuracy": 0.8})
    monkeypatch.setattr(release, "AGENT", pathlib.Path(sys.executable))
    monkeypatch.setattr(shipped, "manifest_of", lambda folder: toy.manifest)
    monkeypatch.setattr(shipped, "opened", lambda *_: toy)
    monkeypatch.setattr(adapt, "adapted", lambda *_: found)
    told = refusal(capsys, "--model", tmp_path / "shipped", "--labelled", folder, "--out", tmp_path / "own")
    assert "the adapted model is worse than the shipped one: 80.0 % of the held-out seconds" in told and "--force" in told
    assert not list(tmp_path.iterdir())


# The curve.


def cell_figures(accuracy, home=0.987):
    there = {"both_accuracy": accuracy, "both_auroc": 0.9, "onsets": 38.0, "onsets_missed": 4.0}
    return {"there": there, "home": {"both_accuracy": home, "onsets_missed": 0.0}}


def test_the_curve_tells_the_share_of_the_gap_and_the_cost_at_home():
    known = {"release 9": {"pair": ["emission", "arcs"], "cells": {"5/10": cell_figures(0.85, 0.984), "0/0": cell_figures(0.8)}},
             "learnt": {"pair": ["emission", "arcs"], "ceiling": True, "cells": {"0/0": cell_figures(0.9)}}}
    page = curve_page.page(known)
    assert "- 5 h and 10 episodes: +5.0 points, 50 % of the gap to the ceiling; at home -0.3 points" in page
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert [r.split("|")[1].strip() for r in rows] == ["normal hours", "---", "0", "5", "ceiling"]
    assert len({r.count("|") for r in rows}) == 1 and "learnt: " not in page


def test_a_cell_has_its_hours_and_its_episodes(folder, plant):
    data = {"normal": plant, "labelled": folder, "replay": [folder]}
    one = curve.given(data, 0, 1)
    assert one.train == [(str(folder), "batch-2")] and one.chosen == [] and len(one.replay) == 1
    quiet = curve.given(data, 1, 0)
    assert quiet.train == quiet.replay == [] and quiet.chosen == [(str(plant), "hours-2")]


def test_help_needs_no_network():
    code = "import sys; sys.argv = ['adapt', '--help']\nfrom inference.train.commands import adapt, adaptation_curve\n" \
           "assert not {'keras', 'tensorflow', 'numpy'} & set(sys.modules), sorted(sys.modules)\nadapt.main()"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=pathlib.Path(__file__).parents[3])
    assert found.returncode == 0 and "--labelled" in found.stdout, found.stderr

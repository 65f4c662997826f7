"""Folds that leave a family of picture and one of current out of training, and their page."""

import json

import pytest
from inference.train import left_out as command
from inference.train.comparison import left_out, left_out_page
from inference.train.training import checkpoint


def index(folder, seed, *pairs, life="hard", seconds=400):
    """A data set's dataset.json: a batch for each pair of families."""
    folder.mkdir(exist_ok=True)
    batches = [{"name": f"batch-{2 + i}", "picture": p, "records": [{"current": c}]} for i, (p, c) in enumerate(pairs)]
    (folder / "dataset.json").write_text(json.dumps({"seed": seed, "life": life, "seconds": seconds, "batches": batches}))
    return folder


def test_it_is_known_what_of_a_pair_was_left_out(tmp_path):
    trained = [index(tmp_path / "own", 1, ("scene", "arcs")), index(tmp_path / "others", 2, ("plates", "arcs"), ("plates", "regimes"))]
    data = [index(tmp_path / "test", 3, ("metal", "arclength"), ("metal", "regimes"), ("scene", "arclength"))]
    assert left_out.unseen(trained, data, []) == {"metal + arclength": "both", "metal + regimes": "picture", "scene + arclength": "current"}


@pytest.mark.parametrize("seed,pair,words", [
    (1, ("metal", "arclength"), "has the seed 1 of the training data"),
    (3, ("scene", "regimes"), "scene and regimes are both in the training data"),
])
def test_what_training_had_is_refused(tmp_path, seed, pair, words):
    trained = [index(tmp_path / "own", 1, ("scene", "arcs")), index(tmp_path / "others", 2, ("plates", "regimes"))]
    with pytest.raises(ValueError, match=words):
        left_out.unseen(trained, [index(tmp_path / "test", seed, pair)], [])


def test_normal_hours_of_a_training_seed_are_refused(tmp_path):
    trained = [index(tmp_path / "own", 1, ("scene", "arcs"))]
    with pytest.raises(ValueError, match="quiet: has the seed 1"):
        left_out.unseen(trained, [index(tmp_path / "test", 3, ("metal", "regimes"))], [index(tmp_path / "quiet", 1, ("metal", "regimes"))])


def test_data_sets_without_a_seed_or_an_index_are_refused(tmp_path):
    (tmp_path / "dataset.json").write_text('{"batches": []}')
    with pytest.raises(ValueError, match="has no seed; name the data sets that were joined"):
        left_out.seed(tmp_path)
    with pytest.raises(ValueError, match="cannot be read"):
        left_out.seed(tmp_path / "absent")


def measured(**changed):
    """The figures of a pair of families."""
    known = {k: 0.5 for k in left_out_page.COLUMNS.values()}
    return known | {"both_accuracy": 0.95, "onsets": 200, "onsets_missed": 2, "delay_median_seconds": 70, "delay_p95_seconds": 150,
                    "false_alarms": 1, "normal_hours": 60, "mixed_false_alarms": 0, "mixed_normal_hours": 20, "fused_error_ratio": 0.5,
                    "lone_video_recall_video": 0.9, "lone_video_recall_both": 0.8, "lone_current_recall_current": 0.9, "lone_current_recall_both": 0.95} | changed


def fold(name, figures, ceiling, readings=1):
    return {"fold": name, "trained": "a note", "readings": [{"date": "2026-01-01", "weights": "ab"}] * readings,
            "left_out": dict.fromkeys(figures, "both"), "data": [{"seed": 3, "life": "hard", "seconds": 1800, "batches": 120}], "figures": figures, "ceiling": ceiling}


def test_the_page_tells_what_is_not_measured():
    text = left_out_page.page({})
    assert "Not measured: scene, metal, plates, emission." in text and "All folds" not in text


def test_the_page_holds_folds_against_their_ceilings():
    text = left_out_page.page({
        "emission": fold("emission", {"emission + autoregressive": measured()}, {"emission + autoregressive": measured(both_accuracy=0.96)}, readings=2),
        "metal": fold("metal", {"metal + arclength": measured(both_accuracy=0.9, onsets_missed=20, delay_median_seconds=90)},
                      {"metal + arclength": measured(both_accuracy=0.95)})})
    assert "Not measured: scene, plates." in text
    assert "has been read 2 times" in text and "has been read once" in text
    assert "| gap to the ceiling, mean and worst | 3.0 and 5.0 points | ≤ 2 and ≤ 4 |" in text
    assert "| onsets missed, mean and worst | 5.5 % and 10.0 % | ≤ 2 % and ≤ 5 % |" in text
    assert "| delay, worst fold: median and p95 | 90 s and 150 s | ≤ 80 s and ≤ 160 s |" in text
    assert "| false alarms | 2 in 160 h | ≤ 1 in 20 h |" in text
    assert "| fused below the lone sense that sees it, worst | 10 points | ≤ 3 |" in text


def test_a_pair_that_is_half_known_counts_in_no_summary():
    half = fold("metal", {"metal + regimes": measured(both_accuracy=0.6)}, {})
    half["left_out"] = {"metal + regimes": "picture"}
    assert "All folds" not in left_out_page.page({"metal": half})


def test_a_run_is_scored_once_unless_told_again(folder, model, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for part in ("videos", "currents", "timestamps", "labels", "test.json"):
        (data / part).symlink_to(folder / part)
    index(data, 3, ("metal", "regimes"))
    index(tmp_path / "own", 1, ("scene", "arcs"))
    checkpoint.save(model, tmp_path / "run")
    words = ["score", "--fold", "metal", "--run", tmp_path / "run", "--trained", tmp_path / "own", "--data", data, "--every", 20, "--into", tmp_path / "into"]
    words = list(map(str, words))
    command.main(words)
    kept = json.loads((tmp_path / "into" / "metal.json").read_text())
    assert list(kept["figures"]) == ["metal + regimes"] and kept["left_out"] == {"metal + regimes": "both"}
    assert kept["data"] == [{"seed": 3, "life": "hard", "seconds": 400, "batches": 1}]
    with pytest.raises(ValueError, match="has been scored on the fold already"):
        command.main(words)
    command.main([*words, "--again"])
    assert len(json.loads((tmp_path / "into" / "metal.json").read_text())["readings"]) == 2
    command.main(["page", "--figures", str(tmp_path / "into"), "--page", str(tmp_path / "page.md")])
    assert "has been read 2 times" in (tmp_path / "page.md").read_text()

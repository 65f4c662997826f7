"""Scores by family, on verdicts written by the tests."""

import json

import numpy as np
import pytest
from inference.train.comparison import transfer
from inference.train.data import layout
from inference.train.evaluation import streaming
from inference.train.models.closed_loop import Runner
from inference.train.models.decision import Decision

SECONDS, ONSET = 600, 200
DECISION = Decision(mean_seconds=5, enter=0.6, exit=0.3)


def verdicts(name="a", current=0.9, video=0.9, both=0.9):
    """A record with one episode whose senses give these probabilities while it is scored."""
    seconds = np.arange(SECONDS)
    label = np.where(seconds < ONSET, 0, np.where(seconds < ONSET + 30, -1, 1)).astype(np.int8)
    of = lambda p: np.where(label == 1, p, 0.1).astype(np.float32)
    return streaming.Predictions(name, label, np.where(seconds < ONSET, np.nan, ONSET), np.ones(SECONDS, bool),
                                 of(both), 0 * of(0), of(current), of(video))


class Record:
    def __init__(self, blind, hidden):
        self.currents, self.hidden = [type("Current", (), {"blind": blind})], hidden


def test_families_stand_in_the_index_and_are_the_own_without_one(tmp_path):
    assert transfer.families(tmp_path) == {}
    (tmp_path / "dataset.json").write_text(json.dumps({"batches": [
        {"name": "a", "picture": "metal", "records": [{"current": "regimes"}]}, {"name": "b", "records": [{}]}]}))
    assert transfer.families(tmp_path) == {"a": ("metal", "regimes"), "b": ("scene", "arcs")}


def test_the_witness_is_the_sense_that_is_not_blind():
    always, never = np.ones(SECONDS, bool), np.zeros(SECONDS, bool)
    for blind, hidden, want in ((always, never, "video"), (never, always, "current"), (never, never, ""), (None, None, "")):
        found = transfer.witnesses(Record(blind, hidden), verdicts())
        assert set(found[ONSET:]) == {want}
        assert set(found[:ONSET]) == {""}
    brief = never.copy()
    brief[300:400] = True
    assert set(transfer.witnesses(Record(brief, never), verdicts())) == {""}


def test_figures_tell_whether_a_lone_witness_is_heard():
    lone = np.where(np.arange(SECONDS) >= ONSET, "video", "")
    m = transfer.figures([(verdicts(current=0.2, both=0.3), lone)], [], DECISION)
    assert m["video_accuracy"] == 1 and m["current_accuracy"] == 0.5 and m["both_accuracy"] == 0.5
    assert m["both_accuracy_best"] == 1
    assert (m["lone_video_recall_both"], m["lone_video_recall_video"], m["lone_video_recall_current"]) == (0, 1, 0)
    assert (m["lone_video_onsets"], m["lone_video_onsets_missed"], m["onsets_missed"]) == (1, 1, 1)
    assert m["lone_current_seconds"] == 0
    heard = transfer.figures([(verdicts(current=0.2, both=0.9), lone)], [], DECISION)
    assert heard["onsets_missed"] == 0 and heard["lone_video_recall_both"] == 1
    assert heard["delay_median_seconds"] == 33


def test_the_page_has_a_row_for_each_pair():
    m = transfer.figures([(verdicts(), np.full(SECONDS, ""))], [(verdicts(), None)], DECISION)
    lines = list(transfer.page({("metal", "arcs"): m, ("scene", "regimes"): m}))
    assert len(lines) == 4 and lines[2].startswith("| metal | arcs | 1 |")
    assert len({line.count("|") for line in lines}) == 1


def test_a_model_is_scored_on_data_with_its_families(model, folder):
    found = transfer.predictions(Runner(model),
                                 folder, DECISION, every=20, log=lambda _: None)
    (pair, some), = found.items()
    assert pair == transfer.OWN and len(some) == 1
    predicted, alone = some[0]
    assert len(predicted.both) == len(alone) == 400


@pytest.mark.parametrize("meter,least,most", [("every", 1, 1), ("every-2nd", 0.5, 0.5), ("every-3rd", 0.33, 0.34),
                                              ("lost", 0.6, 0.8), ("bursts", 0.6, 0.7)])
def test_a_meter_gives_its_share_of_the_samples_and_changes_none(folder, meter, least, most):
    batch = layout.read_split(folder, "test", rerolls=False)[0]
    thinned = transfer.read_by(meter, batch)
    before, after = batch.currents[0], thinned.currents[0]
    assert least <= after.mask.sum() / before.mask.sum() <= most
    assert (after.mask <= before.mask).all() and (after.amps == before.amps).all()
    np.testing.assert_array_equal(after.mask, transfer.read_by(meter, batch).currents[0].mask)

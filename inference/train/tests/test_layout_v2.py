"""The V2 reader on the toy melts of conftest.py."""

import numpy as np
import pytest
from inference.train.data import layout

from .conftest import ONSET, SECONDS


@pytest.fixture(scope="module")
def batch(folder):
    return layout.read_split(folder, "train")[0]


def test_width_and_height_change_places(batch):
    # The spot stands in columns 40…, rows 16…; 340 s in it is 12 wide.
    frame = batch.frames[batch.frame_at[340]]
    assert (frame[16:28, 40:52, 0] == 250).all() and frame[40, 16, 0] < 100
    places = batch.spot[batch.frame_at[340]].reshape(8, 8)
    assert places[2, 5] == 64 and places.sum() == 144


def test_missing_frames_stay_missing(batch):
    # Stamps lie at x.4 s, so second s has the frame of s − 1; 50 … 54 are lost.
    assert (batch.frame_at[51:56] == -1).all()
    assert batch.frame_at[50] == 49 and batch.frame_at[56] == 50
    assert batch.frame_at[0] == -1


def test_current_lies_on_the_grid_of_its_polls(batch):
    record = batch.currents[0]
    assert len(batch.currents) == 2
    # Polls at x.1 and x.6: the newest instant at 100 s is the poll of 99.6.
    newest = record.last[100]
    assert record.mask[newest] == 1
    assert record.last[101] - newest == 2
    lost = record.mask[record.last[21] : record.last[25] + 1]
    assert lost.sum() == 0 and (record.amps[record.last[22]] == 0).all()
    assert record.set_point[newest] == 15000


def test_labels_and_onset(batch):
    assert len(batch.label) == SECONDS
    assert batch.label[ONSET - 1] == 0 and batch.label[ONSET] == -1 and batch.label[ONSET + 30] == 1
    assert np.isnan(batch.onset[0]) and batch.onset[ONSET] == ONSET


def test_rerolls_can_be_left_out(folder):
    assert len(layout.read_split(folder, "test", rerolls=False)[0].currents) == 1


def test_a_video_that_its_stamps_do_not_fit_is_refused(folder, tmp_path):
    import shutil

    copy = tmp_path / "v2"
    shutil.copytree(folder, copy)
    with open(copy / "timestamps" / "batch-0.csv", "a") as file:
        file.write("999.4\n")
    with pytest.raises(ValueError, match="batch-0.npy has shape"):
        layout.read_batch(copy, "batch-0")

"""The window in time, against cases worked out by hand."""

import numpy as np
from inference.train.data import window


def test_frames_belong_to_the_samples_of_their_own_second():
    assert window.samples_of_frame(0) == (208, 209, 210)
    assert window.samples_of_frame(14) == (236, 237, 238)
    assert window.samples_of_frame(15) == (238, 239, 239)  # clamped at the end


def test_frames_share_time_slots_with_the_current():
    slots = window.frame_slots()
    assert slots[0] == 26 and slots[15] == 29  # of 30 patches of 8 samples
    assert (np.diff(slots) >= 0).all()


def test_nearest_takes_each_stamp_once_and_nothing_from_afar():
    grid = [0.0, 0.5, 1.0, 1.5, 2.0]
    stamps = [0.1, 0.55, 1.3, 9.0]
    # 1.3 is 0.2 from 1.5 and 0.3 from 1.0, too far; 2.0 has nobody.
    assert window.nearest(stamps, grid, 0.25).tolist() == [0, 1, -1, 2, -1]
    # One stamp between two instants serves the nearer.
    assert window.nearest([0.24], [0.0, 0.5], 0.3).tolist() == [0, -1]
    assert window.nearest([], [0.0, 0.5], 0.3).tolist() == [-1, -1]
    assert window.nearest([0.5], [0.0, 0.5], 0.3).tolist() == [-1, 0]

"""Scenes change what they say, the same way each time."""

import numpy as np
import pytest
from inference.train.data import scenes


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(1).integers(60, 120, (120, 64, 64, 3)).astype(np.uint8)


@pytest.mark.parametrize("scene", scenes.SCENES)
def test_a_scene_repeats_by_name_and_keeps_the_shape(frames, scene):
    one = scenes.changed(frames, scene, "melt-1")
    assert one.shape == frames.shape and one.dtype == np.uint8
    np.testing.assert_array_equal(one, scenes.changed(frames, scene, "melt-1"))
    assert (one != scenes.changed(frames, scene, "melt-2")).any()


def test_mist_lifts_and_flattens(frames):
    hazy = scenes.changed(frames, "mist", "melt")
    assert (hazy >= frames).all()
    assert hazy.mean() > frames.mean() + 20


def test_flame_lights_the_upper_half_in_its_colour(frames):
    lit = scenes.changed(frames, "flame", "melt").astype(float)
    np.testing.assert_array_equal(lit[:, 33:], frames[:, 33:])
    upper = (lit - frames)[:, :10].mean((0, 1, 2))
    assert upper[0] > upper[1] > 0 and upper[0] > 20


def test_exposure_swings_the_whole_picture(frames):
    gain = scenes.changed(frames, "exposure", "melt").mean((1, 2, 3)) / frames.mean((1, 2, 3))
    assert 0.45 < gain.min() < 0.9 < 1.1 < gain.max() < 2.05

"""Joining data sets: every batch is found again, in its split, with its clock."""

import json
import shutil

import numpy as np
import pytest
from inference.train.data import cache, join, layout


@pytest.fixture
def sources(folder, tmp_path):
    """A recorded set and a simulated one, with the same names of batches."""
    plant, simulated = tmp_path / "plant", tmp_path / "simulated"
    for target in (plant, simulated):
        shutil.copytree(folder, target)
        (target / "dataset.json").unlink(missing_ok=True)
    records = [{"name": "batch-0", "current_delay_s": 0.5, "video_delay_s": 2.0}]
    (simulated / "dataset.json").write_text(json.dumps({"batches": [{"name": "batch-0", "picture": "metal", "records": records}]}))
    return plant, simulated


def test_every_batch_is_found_again(folder, sources, tmp_path):
    join.join(sources, tmp_path / "all")
    for split in layout.SPLITS:
        before = layout.names(folder, split)
        assert layout.names(tmp_path / "all", split) == [f"{s.name}-{n}" for s in sources for n in before]
    name = layout.names(folder, "train")[0]
    first, again = layout.read_batch(folder, name), layout.read_batch(tmp_path / "all", f"simulated-{name}")
    assert (first.frames == again.frames).all() and (first.label == again.label).all()
    assert len(first.currents) == len(again.currents)
    assert all(np.array_equal(a.amps, b.amps) for a, b in zip(first.currents, again.currents, strict=True))


def test_clock_and_families_keep_their_batch(sources, tmp_path):
    join.join(sources, tmp_path / "all")
    assert cache.lags(tmp_path / "all") == {"simulated-batch-0": -1.5}
    described = json.loads((tmp_path / "all" / "dataset.json").read_text())["batches"]
    assert [(b["name"], b["picture"]) for b in described] == [("simulated-batch-0", "metal")]


def test_refusals_name_the_remedy(sources, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(ValueError, match="exists; remove it"):
        join.join(sources, tmp_path / "there")
    with pytest.raises(ValueError, match="rename one"):
        join.join([sources[0], sources[0]], tmp_path / "twice")
    with pytest.raises(ValueError, match="neither videos/"):
        join.join([sources[0], tmp_path / "there"], tmp_path / "none")
    assert not (tmp_path / "none").exists()

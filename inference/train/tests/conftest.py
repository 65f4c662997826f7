"""A data set of two toy melts in the V2 layout, written by the tests themselves."""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
from inference.train import models
from inference.train.data import cache, layout
from inference.train.training import checkpoint, configs, encode, fit, quantize


def missing(why):
    """Skips a test whose artefact was not built; in CI, which builds all of them, fails it."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


SECONDS = 400
ONSET = 200  # of the one abnormal episode; its label is 1 from 230 s on


def write_batch(folder, name, seed, rerolls=1):
    rng = np.random.default_rng(seed)
    seconds = np.arange(SECONDS)
    label = np.where(seconds < ONSET, 0, np.where(seconds < ONSET + 30, -1, 1))
    rows = ["time,severity,label,state,onset"]
    for s in seconds:
        onset = f"{ONSET}.00" if s >= ONSET else ""
        rows.append(f"{s},{max(s - ONSET, 0) / 100:.4f},{label[s]},melting,{onset}")
    (folder / "labels" / f"{name}.csv").write_text("\n".join(rows) + "\n")
    write_video(folder, name, rng)
    for k in range(1 + rerolls):
        suffix = f"_r{k}" if k else ""
        write_current(folder / "currents" / f"{name}{suffix}.csv", rng)


def write_video(folder, name, rng):
    """A frame a second at x.4 s, with 50 … 54 missing; the spot is a square that grows."""
    seconds = np.array([s for s in range(SECONDS) if not 50 <= s < 55])
    frames = rng.integers(60, 80, (len(seconds), 3, 64, 64)).astype(np.uint8)  # T,C,W,H
    mask = np.zeros((len(seconds), 64, 64), np.uint8)
    for i, s in enumerate(seconds):
        side = min(max(s - ONSET, 0) // 10, 12)
        # Columns 40…, rows 16…: the layout puts width before height.
        frames[i, 0, 40 : 40 + side, 16 : 16 + side] = 250
        mask[i, 40 : 40 + side, 16 : 16 + side] = 1
    np.save(folder / "videos" / f"{name}.npy", frames)
    np.save(folder / "videos" / f"{name}_mask.npy", mask)
    stamps = "\n".join(f"{s + 0.4:.3f}" for s in seconds)
    (folder / "timestamps" / f"{name}.csv").write_text(f"time\n{stamps}\n")


def write_current(path, rng):
    """2 Hz with jitter; quiet after the onset; samples at 20 … 24 s missing."""
    rows = ["time,a,b,c,set_point,feeding,exhaust,manual"]
    for i in range(2 * SECONDS):
        t = i / 2
        if 20 <= t < 25:
            continue
        spread = 1500 if t < ONSET else 100
        a, b, c = 15000 + spread * rng.standard_normal(3)
        rows.append(f"{t + 0.1 + rng.uniform(-0.05, 0.05):.3f},{a:.1f},{b:.1f},{c:.1f},15000,0,0,0")
    path.write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("v2")
    for part in ("videos", "currents", "timestamps", "labels"):
        (folder / part).mkdir()
    for i, split in enumerate(("train", "val", "test")):
        write_batch(folder, f"batch-{i}", seed=i)
        (folder / f"{split}.json").write_text(json.dumps([f"batch-{i}"]))
    return folder


QUIET = {"log": lambda _: None}


@pytest.fixture(scope="session")
def unimodal(folder, tmp_path_factory):
    """The folder of a narrow unimodal network after a few steps, with its codebook."""
    out = tmp_path_factory.mktemp("senses")
    batches = layout.read_split(folder, "train")
    checkpoint.save(fit.fit_unimodal(configs.Unimodal(**SMALL), batches, **QUIET), out)
    quantize.save(out, *quantize.make(batches, SMALL["dim"], seed=1, steps=4))
    return out


SMALL = {"dim": 16, "hidden": 16, "steps": 3, "windows": 8, "frames": 4}


@pytest.fixture(scope="session")
def tokens(folder, unimodal, tmp_path_factory):
    """The folder of the tokens that its tokenizers make of the data set."""
    out, model = tmp_path_factory.mktemp("tokens"), checkpoint.load(unimodal)
    encode.write_views(model, folder, "train", out, seed=1, views=2, **QUIET)
    for split in ("val", "test"):
        encode.write_streamed(model, folder, split, out, **QUIET)
    return out


@pytest.fixture(scope="session")
def trained(folder, unimodal, tokens):
    """The product after a few steps."""
    return fit.fit_on_tokens(configs.Toy(), cache.read(tokens, folder, "train"), unimodal, **QUIET)


@pytest.fixture(scope="session")
def model():
    """An untrained network with every weight moved from its initial value."""
    import keras

    keras.utils.set_random_seed(3)
    model = models.build(configs.Toy())
    rng = np.random.default_rng(3)
    for v in model.trainable_variables:
        v.assign(v + 0.1 * rng.standard_normal(v.shape))
    return model


@pytest.fixture
def eager():
    """Tracing the network takes longer than the few steps here."""
    import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)

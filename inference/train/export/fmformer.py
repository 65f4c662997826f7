"""Exports the untrained FmFormer-B for the same Go code as the product.

    python -m inference.train.fmformer --out runs/fmformer-b     # half a minute
"""

import argparse

import keras
import numpy as np

from ..data import window
from ..models.fmformer_b import FRAMES, PLACES, VALUES, Published
from .saved_model import Function, TensorSpec, save


def export(model, folder):
    """Writes the model folder in the format of the product's."""
    size = window.SIZE
    f32 = lambda *shape: TensorSpec("float32", shape)
    functions = {
        "encode_frame": Function(model.encode_frame, {
            "frame": TensorSpec("uint8", (1, size, size, 3), "0-255"), "background": f32(1, size, size, 1)}),
        "step": Function(model.step, {
            "tokens": f32(1, FRAMES, PLACES**2, VALUES), "frame_mask": f32(1, FRAMES),
            "current": f32(1, window.SAMPLES, window.PHASES), "sample_mask": f32(1, window.SAMPLES),
            "set_point": f32(1, 1)}),
    }
    sections = {
        "name": model.config.name, "version": "untrained", "commit": "",
        "current": {"rate_hz": window.SAMPLE_HZ, "samples": window.SAMPLES,
                    "phases": window.PHASES, "unit": "A"},
        "video": {"rate_hz": window.FRAME_HZ, "frames": FRAMES, "width": size, "height": size,
                  "channels": "RGB", "resize": "area", "tokens": PLACES**2, "dim": VALUES,
                  "background": [1, size, size, 1], "evidence_rows": 0, "evidence_columns": 0},
        # It is untrained, so it must never raise an alarm.
        "decision": {"mean_seconds": 600, "enter": 1, "exit": 1, "hold_seconds": 0, "freeze_background": 1},
        "rule": {"cv_120": 1e-9, "cv_45": 1e-9},
        "metrics": {"parameters": model.count_params()},
    }
    return save(folder, functions, sections, golden_inputs())


def golden_inputs():
    rng, size = np.random.default_rng(5), window.SIZE
    frame = rng.integers(0, 256, (1, size, size, 3), np.uint8)
    whole = {
        "tokens": np.round(rng.random((1, FRAMES, PLACES**2, VALUES)) * 16).astype(np.float32) / 16,
        "frame_mask": np.ones((1, FRAMES), np.float32),
        "current": rng.normal(15000, 1500, (1, window.SAMPLES, window.PHASES)).astype(np.float32),
        "sample_mask": np.ones((1, window.SAMPLES), np.float32),
        "set_point": np.full((1, 1), 15000, np.float32),
    }
    return [("frame", "encode_frame", {"frame": frame, "background": np.zeros((1, size, size, 1), np.float32)}),
            ("window", "step", whole),
            ("nothing", "step", whole | {k: 0 * whole[k] for k in ("frame_mask", "sample_mask")})]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, help="model folder to write; an older one is replaced")
    args = parser.parse_args(argv)
    keras.utils.set_random_seed(1)
    model = Published()
    export(model, args.out)
    print(f"{args.out}: {model.config.name}, untrained, {model.count_params():,} parameters")

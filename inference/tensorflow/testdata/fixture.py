"""Writes fixture/ and baseline/, the small models that the Go tests of this folder load.

It computes by hand-checkable rules instead of a network:
encode_frame: background' is halfway between background and the frame's grey
level (the grey level itself where background < 0); token k of every frame is
k × the mean grey level; evidence is the frame's grey level in a 2 × 3 grid,
scaled to sum to 1.
step: p_abnormal = mean of sample_mask; alignment = sqrt(set_point), hence not a
number for a negative one; frame_weight = frame_mask / its sum; local_loss is least
at the shift −set_point; surprise = share of masked samples. That of baseline/ has
current_baseline too, which moves halfway to the mean of sample_mask.

    python -m inference.tensorflow.testdata.fixture    (from the repository root)
"""

import pathlib

import numpy as np
import tensorflow as tf

from inference.train.export.saved_model import Function, TensorSpec, save

FRAMES, SAMPLES, HEIGHT, WIDTH, TOKENS, DIM = 3, 8, 4, 6, 2, 4
BASELINE = 4
SHIFTS = [-2.0, -1.0, 0.0, 1.0, 2.0]


def encode_frame(frame, background):
    grey = tf.reduce_mean(tf.cast(frame, tf.float32), -1, keepdims=True) / 255
    new = tf.where(background < 0, grey, (background + grey) / 2)
    ramp = tf.reshape(tf.range(TOKENS * DIM, dtype=tf.float32), (1, TOKENS, DIM))
    places = tf.reduce_sum(tf.reshape(grey, (1, 2, HEIGHT // 2, 3, WIDTH // 3)), (2, 4))
    return {
        "tokens": ramp * tf.reduce_mean(grey),
        "background": new,
        "evidence": places / tf.maximum(tf.reduce_sum(places), 1e-6),
    }


def step(tokens, frame_mask, current, sample_mask, set_point):
    # Zero times what is not used, so that no input is pruned away.
    unused = 0 * (tf.reduce_sum(tokens) + tf.reduce_sum(current))
    return {
        "p_abnormal": tf.reduce_mean(sample_mask, 1, keepdims=True) + unused,
        "alignment": tf.sqrt(set_point),
        "frame_weight": frame_mask / tf.maximum(tf.reduce_sum(frame_mask), 1),
        "local_loss": tf.square(tf.constant([SHIFTS]) + set_point),
        "surprise": 1 - tf.reduce_mean(sample_mask, 1, keepdims=True),
    }


def step_with_baseline(tokens, frame_mask, current, sample_mask, set_point, current_baseline):
    outputs = step(tokens, frame_mask, current, sample_mask, set_point)
    return {**outputs, "current_baseline": (current_baseline + outputs["p_abnormal"]) / 2}


def vectors():
    rng = np.random.default_rng(7)
    for i in range(2):
        yield f"frame {i}", "encode_frame", {
            "frame": rng.integers(0, 256, (1, HEIGHT, WIDTH, 3), np.uint8),
            "background": rng.random((1, HEIGHT, WIDTH, 1), np.float32) - i,
        }
    yield "step", "step", {
        "tokens": rng.random((1, FRAMES, TOKENS, DIM), np.float32),
        "frame_mask": np.float32([[1, 0, 1]]),
        "current": np.full((1, SAMPLES, 3), 15000, np.float32),
        "sample_mask": np.float32([[1, 1, 0, 1, 1, 1, 1, 0]]),
        "set_point": np.float32([[0.25]]),
    }


def main():
    f32 = lambda *shape: TensorSpec("float32", shape)
    functions = {
        "encode_frame": Function(encode_frame, {
            "frame": TensorSpec("uint8", (1, HEIGHT, WIDTH, 3)),
            "background": f32(1, HEIGHT, WIDTH, 1),
        }),
        "step": Function(step, {
            "tokens": f32(1, FRAMES, TOKENS, DIM),
            "frame_mask": f32(1, FRAMES),
            "current": f32(1, SAMPLES, 3),
            "sample_mask": f32(1, SAMPLES),
            "set_point": f32(1, 1),
        }),
    }
    sections = {
        "name": "fixture", "version": "1", "commit": "",
        "current": {"rate_hz": 2, "samples": SAMPLES, "phases": 3, "unit": "A"},
        "video": {
            "rate_hz": 1, "frames": FRAMES, "width": WIDTH, "height": HEIGHT,
            "channels": "RGB", "resize": "area", "tokens": TOKENS, "dim": DIM,
            "background": [1, HEIGHT, WIDTH, 1], "evidence_rows": 2, "evidence_columns": 3,
        },
        "decision": {"mean_seconds": 10, "enter": 0.6, "exit": 0.4, "hold_seconds": 10,
                     "freeze_background": 0.5},
        "rule": {"cv_120": 0.07, "cv_45": 0.05},
        "offset": {"shifts_s": SHIFTS, "event_amps": 3000, "window_seconds": SAMPLES / 2,
                   "pool": 60, "step_s_per_min": 0.2, "most_s": 2},
        "metrics": {},
    }
    here, examples = pathlib.Path(__file__).parent, list(vectors())
    save(here / "fixture", functions, sections, examples)
    name, signature, inputs = examples[-1]
    examples[-1] = name, signature, {**inputs, "current_baseline": np.float32([[0, 0.5, 1, 2]])}
    functions["step"] = Function(step_with_baseline, {**functions["step"].inputs, "current_baseline": f32(1, BASELINE)})
    save(here / "baseline", functions, {**sections, "name": "baseline"}, examples)


if __name__ == "__main__":
    main()

"""Trains a whole network a little further on a plant's own windows, held near the shipped one.

Three things hold it: the weights are pulled to the shipped ones (L2-SP: Li, Grandvalet & Davoine,
ICML 2018), its logits to the shipped network's wherever that is right (distillation), and each
frame's attention to the codes of the current, from which the clock offset is read. Batch
normalisation keeps its shipped statistics.
"""

import time
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from ..data import augment
from ..models import losses
from ..training.fit import Part


@dataclass(frozen=True)
class Training:
    """The settings of training further."""

    steps: int = 200
    windows: int = 32  # in a batch
    frames: int = 6  # of the 16 in a window
    replayed: float = 0.5  # share of the windows, where there is data to replay
    rate: float = 3e-4
    pull: float = 0.02  # of the weights to the shipped ones
    distil: float = 0.1  # of the logits
    attend: float = 0.5  # of the attention to the codes
    alone: float = 0.2  # of each sense's verdict
    hold_out: bool = True  # whether some labelled batches tell when to stop and judge
    parts: int = 10  # after each the validation is measured
    seed: int = 1


class Student(keras.Model):
    """A network in training beside the shipped one; call takes a batch of windows.Windows."""

    def __init__(self, model, teacher, training):
        super().__init__()
        self.model, self.teacher, self.settings = model, teacher, training
        model.trainable, teacher.trainable = True, False
        model.bank.trainable = False  # the codes are those of the current, wherever it is measured
        self._shipped = [np.array(w) for w in model.trainable_weights]
        self.built = True

    def call(self, x, training=False):
        frames, background = x["frames"], x["background"]                  # (B,M,64,64,3), (B,M,64,64,1)
        if training:
            frames, background = augment.pixels(frames, background, x)
        out = self.read(self.model, frames, background, x, training)
        told = self.read(self.teacher, frames, background, x, False)
        return {k: out[k] for k in ("logits", "logit_current", "logit_video", "attention", "seen")} | {
            f"told_{k}": ops.stop_gradient(told[k]) for k in ("logits", "attention")}

    @staticmethod
    def read(model, frames, background, x, training):
        """What a network makes of the windows' frames and current."""
        tokens, frame_mask, _ = model.read_frames(frames, background, x)
        return model.infer(tokens, frame_mask, x["current"], x["sample_mask"], x["set_point"], x.get("current_baseline"), training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        t, out, label = self.settings, y_pred, y["label"]
        verdicts = losses.verdict(label, out["logits"][:, :1])
        alone = sum(losses.verdict(label, out["logits"][:, i : i + 1]) for i in (1, 2))
        if not training:
            return verdicts + t.alone * alone
        return (verdicts + t.alone * alone + t.distil * distillation(label, out["logits"], out["told_logits"])
                + t.attend * attention_loss(out["attention"], out["told_attention"], out["seen"]) + t.pull * self.moved())

    def moved(self):
        """The squared distance of the weights from the shipped ones."""
        return sum(ops.sum(ops.square(w - shipped)) for w, shipped in zip(self.model.trainable_weights, self._shipped, strict=True))


def distillation(label, logits, told):
    """Huber error of the logits (B,3) against those told (B,3), where the teacher is right: a scalar."""
    right = ops.cast((told > 0) == (label > 0.5), "float32")               # (B,3)
    return ops.sum(right * losses.huber(logits - told)) / ops.maximum(ops.sum(right), 1.0)


def attention_loss(attention, told, seen):
    """Cross-entropy of the frames' attention (B,16,U) with the one told, less its entropy, over the frames seen (B,16): a scalar."""
    tiny = 1e-6
    each = ops.sum(told * (ops.log(told + tiny) - ops.log(attention + tiny)), axis=2)  # (B,16)
    return ops.sum(each * seen) / ops.maximum(ops.sum(seen), 1.0)


def train(student, windows, steps, log=print, validation=None, what="training"):
    """Trains for so many steps; gives the number of steps with the least validation loss, 0 for the shipped weights.

    Without validation the last step counts. The student keeps the weights of the best one.
    """
    t = student.settings
    schedule = keras.optimizers.schedules.CosineDecay(t.rate / 10, steps, alpha=0.1, warmup_target=t.rate, warmup_steps=max(steps // 10, 1))
    student.compile(keras.optimizers.Adam(schedule, clipnorm=1.0), jit_compile=keras.backend.backend() == "jax")
    measure = lambda: student.evaluate(validation, verbose=0, return_dict=True)["loss"]
    best, kept, least, step = 0, student.model.get_weights(), measure() if validation else None, 0
    every = max(steps // t.parts, 1)
    while step < steps:
        end, start = min(step + every, steps), time.monotonic()
        loss = student.fit(Part(windows, step, end), epochs=1, verbose=0, shuffle=False).history["loss"][-1]
        found = measure() if validation else None
        # By the last part, because the first one traces the network.
        left = (time.monotonic() - start) / (end - step) * (steps - end)
        step = end
        told = f", validation {found:.4f}" if validation else ""
        log(f"{what}: step {step} of {steps}, loss {loss:.4f}{told}, {left:.0f} s left")
        if not validation or found < least:
            best, kept, least = step, student.model.get_weights(), found
    student.model.set_weights(kept)
    return best

"""Runs an exported model folder like a network in the closed loop, as Go will run it."""

import json

import numpy as np

from ..models import decision
from . import saved_model


class Exported:
    """An exported model with the interface of closed_loop.Runner.

    Its batch size is 1, so rows run one by one.
    """

    def __init__(self, folder):
        self.loaded = saved_model.load(folder)
        manifest = json.loads((folder / saved_model.MANIFEST).read_text())
        video = manifest["video"]
        self.token_shape = (video["frames"], video["tokens"], video["dim"])
        self.baseline = "current_baseline" in manifest["signatures"]["step"]["inputs"]
        known = manifest["decision"]
        self.freezing = decision.Freezing(
            known.pop("freeze_background"), known.pop("freeze_alone", 0.0), known.pop("freeze_alone_seconds", 0))
        suspect = known.pop("suspect", None)
        self.suspect = decision.Decision(**suspect) if suspect else None
        self.decision = decision.Decision(**known)

    def encode(self, frames, background):
        return self._rows("encode_frame", {"frame": frames, "background": background})

    def step(self, tokens, seen, current, mask, set_point, *baseline):
        kept = {"current_baseline": baseline[0]} if baseline else {}
        return self._rows("step", {"tokens": tokens, "frame_mask": seen, "current": current,
                                   "sample_mask": mask, "set_point": set_point} | kept)

    def _rows(self, signature, inputs):
        rows = len(next(iter(inputs.values())))
        answers = [self.loaded.run(signature, {k: v[i : i + 1] for k, v in inputs.items()}) for i in range(rows)]
        return {k: np.concatenate([a[k] for a in answers]) for k in answers[0]}

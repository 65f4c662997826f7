"""One onset as a network with a codebook sees it, for the plot of its attention."""

import numpy as np

from ..data import window
from ..evaluation import batched
from ..models import codebook
from ..models.closed_loop import Compiled

BEFORE, AFTER, EVERY = 60, 150, 5  # seconds about the onset


def of(model, batches):
    """The first onset with enough of the record around it, or None.

    seconds (S,) from the onset, p (S,), frame_weight (S,16) oldest first; and of the
    window before it in which the current has the most codes: attention and share, the codes
    that frames attend to and those of their own seconds, (16,U) each.
    """
    for batch in batches:
        for onset in np.unique(batch.onset[np.isfinite(batch.onset)]).astype(int):
            if BEFORE + window.FRAMES <= onset and onset + AFTER < len(batch.label):
                return _of(model, batch, onset)
    return None


def _of(model, batch, onset):
    seconds = np.arange(-BEFORE, AFTER + 1, EVERY)
    inputs = batched.windows_of(batch, onset + seconds, round(batch.lags[0] * window.SAMPLE_HZ))
    ask = Compiled(lambda *a: {k: v for k, v in model.infer(*a).items() if k in KEYS})
    out = {k: np.asarray(v) for k, v in ask.predict_on_batch(list(inputs.values())).items()}
    share, _ = (np.asarray(x) for x in codebook.counts(out["code"], out["valid"], codebook.windows_of_frames()))
    before = seconds <= 0
    liveliest = int(np.argmax((share[before].max(1) > 0).sum(1)))
    rounded = lambda x: np.round(x.astype(float), 3).tolist()
    return {"batch": batch.name, "seconds": seconds.tolist(), "p": rounded(1 / (1 + np.exp(-out["logit"][:, 0]))),
            "frame_weight": rounded(out["frame_weight"]), "window": int(seconds[liveliest]),
            "attention": rounded(out["attention"][liveliest]), "share": rounded(share[liveliest])}


KEYS = ("logit", "frame_weight", "attention", "code", "valid")

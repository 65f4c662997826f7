"""Sanity checks: figures that show that each row works, on trained weights and held-out batches.

compare.py writes them with the other figures; tests/test_comparison.py checks the committed
figures against the bounds below. Properties by construction (masks, sums, invariances,
losses by hand) are tested in tests/test_systems.py, test_codebook.py and test_losses.py.
"""

import numpy as np
from keras import ops

from ..data import augment
from ..evaluation import batched
from ..models import codebook
from ..models.closed_loop import Compiled

WINDOWS = 128
DRAWS = 16  # a single draw cannot reliably tell five hits of 128 from three
APART = 120  # seconds between two windows of a batch, so that they do not overlap

# name → (text, least value).
BOUNDS = {
    "retrieval": ("R@1 over 128 pairs, in multiples of chance", 5.0),
    "match_easy": ("ITM, negatives of the other label", 0.9),
    "match_hard": ("ITM, the most alike of the other label", 0.7),
    "units_loss_rise": ("local loss, current 10 s off, less that in place", 0.0),
    "label_gap": ("cosine of one label less that of two", 0.5),
    "view_cosine": ("cosine of two views of a window", 0.8),
    "least_load": ("least load of an expert", 0.05),
}

ABOVE = ("units_loss_rise",)  # must exceed their bounds; all others may equal them

# Row's number → checks that it must pass; the figures of other rows are only printed.
WANTED = {
    "1": ("retrieval", "match_easy", "match_hard"),
    "3": ("units_loss_rise",),
    "5": ("label_gap",),
    "6": ("view_cosine",),
    "7": ("label_gap", "view_cosine"),
    "8": ("least_load",),
}


def wanted(row, name):
    """Whether a row, or a variant of it such as 8a, must keep a bound."""
    return name in WANTED.get(row.rstrip("abcdefghijklmnopqrstuvwxyz"), ())


def drawn(batches, seed):
    """Inputs of 128 windows, half of each class, far apart; their labels; and the random generator."""
    rng, spots = np.random.default_rng(seed), {0: [], 1: []}
    for n, b in enumerate(batches):
        for second in range(APART, len(b.label), APART):
            if b.label[second] >= 0:
                spots[int(b.label[second])].append((n, second))
    chosen = []
    for label, places in spots.items():
        places = [places[i] for i in rng.permutation(len(places))[: WINDOWS // 2]]
        chosen += [(label, n, s) for n, s in places]
    parts = [batched.windows_of(batches[n], [s], round(batches[n].lags[0] * 2)) for _, n, s in chosen]
    inputs = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    return inputs, np.array([c[0] for c in chosen]), rng


def figures(model, batches):
    """The figures of BOUNDS that apply to a network, and the attention on the own codes where it has a codebook: means over the draws."""
    forward = Compiled(lambda *a: {k: v for k, v in model.infer(*a).items() if k in KEYS})
    ask = lambda inputs: {k: np.asarray(v) for k, v in forward.predict_on_batch(list(inputs.values())).items()}
    match = Compiled(lambda *a: model.infer(*a)["match"])
    found = [of_draw(model, ask, match, *drawn(batches, seed)) for seed in range(DRAWS)]
    return {k: round(float(np.mean([f[k] for f in found])), 4) for k in found[0]}


def of_draw(model, ask, match, inputs, label, rng):
    out, found = ask(inputs), {}
    if "z_current" in out:
        found["retrieval"] = retrieval(out["z_video"], out["z_current"])
    if "match" in out:
        found |= matching(match, inputs, out, label, rng)
    if "attention" in out:
        found |= alignment(model, inputs, out)
    if "z_fused" in out:
        found["label_gap"] = label_gap(out["z_fused"], label)
        other = ask(viewed(inputs, rng))
        found["view_cosine"] = float((out["z_fused"] * other["z_fused"]).sum(1).mean())
    loads = [out[k].mean(0).min() for k in ("router_current", "router_video") if k in out]
    if loads:
        found["least_load"] = float(min(loads))
    return found


KEYS = ("z_current", "z_video", "z_fused", "match", "attention", "code", "valid", "seen",
        "router_current", "router_video")


def similar(z_video, z_current):
    """Cosine of every video with every current, the greatest over the queries: (N,N)."""
    if z_video.ndim == 3:
        return np.einsum("nqd,md->nqm", z_video, z_current).max(1)
    return z_video @ z_current.T


def retrieval(z_video, z_current):
    """How often a video's own current is the most similar one, in multiples of chance."""
    scores = similar(z_video, z_current)
    return (scores.argmax(1) == np.arange(len(scores))).mean() * len(scores)


def matching(match, inputs, out, label, rng):
    """Accuracy of the matching head on true pairs and two kinds of false pairs."""
    others = np.array([rng.choice(np.flatnonzero(label != own)) for own in label])
    scores = similar(out["z_video"], out["z_current"]) - 9 * (label[:, None] == label[None])
    told = {}
    for name, at in (("easy", others), ("hard", scores.argmax(1))):
        mixed = inputs | {k: inputs[k][at] for k in ("current", "sample_mask", "set_point")}
        wrong = np.asarray(match.predict_on_batch(list(mixed.values())))
        told[f"match_{name}"] = ((out["match"] > 0).mean() + (wrong < 0).mean()) / 2
    return told


def alignment(model, inputs, out):
    """Local loss in place and with the current shifted by 10 s, and the attention on the own codes."""
    def loss(code):
        share, counted = codebook.counts(code, out["valid"], codebook.windows_of_frames())
        each = codebook.local_loss(out["attention"], share, counted * out["seen"])
        return float(np.mean(each)), float(ops.mean(ops.sum(share * out["attention"], axis=2)))

    here, mass = loss(out["code"])
    off, _ = loss(np.roll(out["code"], 20, axis=1))
    return {"local_loss": here, "units_loss_rise": off - here, "units_mass": mass}


def label_gap(z, label):
    """Mean cosine of windows of the same label less that of different labels."""
    scores, same = z @ z.T, label[:, None] == label[None]
    alone = np.eye(len(z), dtype=bool)
    return scores[same & ~alone].mean() - scores[~same].mean()


def viewed(inputs, rng):
    """The same windows under training's augmentation."""
    other = {k: v.copy() for k, v in inputs.items()}
    for i in range(len(other["current"])):
        augment.current(rng, other["current"][i], other["sample_mask"][i], other["set_point"][i])
    other["frame_mask"] *= rng.random(other["frame_mask"].shape) > 0.1
    return other


def holds(name, value):
    return value > BOUNDS[name][1] if name in ABOVE else value >= BOUNDS[name][1]


def bound(name):
    """A bound as text."""
    return f"{'>' if name in ABOVE else '≥'} {BOUNDS[name][1]:g}"


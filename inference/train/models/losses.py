"""Contrastive losses, cross-entropy and Huber error.

Pure functions; tests/test_losses.py has a case worked out by hand for each.
B vectors, all of unit length.
"""

import keras
from keras import ops

FAR = -1e9  # added to a masked score
TEMPERATURE = 0.1
SMOOTHING = 0.02


def cross_entropy(target, logit, weight=None):
    """Binary cross-entropy from logits, mean over the batch; weight: of each window."""
    each = ops.relu(logit) - logit * target + ops.log1p(ops.exp(-ops.abs(logit)))
    return ops.mean(each) if weight is None else ops.sum(weight * each) / ops.maximum(ops.sum(weight), 1.0)


def verdict(label, logit, smoothing=SMOOTHING, weight=None):
    """Cross-entropy of a verdict with smoothed labels."""
    return cross_entropy(label * (1.0 - smoothing) + 0.5 * smoothing, logit, weight)


def own_verdicts(config, y, out):
    """Cross-entropy of each sense's own verdict: current, video.

    With config.own_blind at False, a sense is not taught an episode that it does not show:
    it would learn that by heart.
    """
    for place, sense in enumerate(("current", "video")):
        weight = None if config.own_blind else y["shows"][:, place : place + 1]
        yield verdict(y["label"], out[f"logit_{sense}"], weight=weight)


TAKEN = 0.05  # share of a spot's pixels from which it takes a place
RARE = 8.0  # weight of a place with a spot against one without, of which there are far more


def spot(share, evidence):
    """Cross-entropy between the hot spot and the attention of the first query.

    share (B,M,64): the mask's by cell; it sums to 1, or to 0 without a hot spot.
    """
    missed = -ops.sum(share * ops.log(evidence + 1e-6), axis=2)            # (B,M)
    return ops.sum(missed) / ops.maximum(ops.sum(share), 1.0)


def glow(share, scores):
    """Cross-entropy of the places' scores with whether the hot spot takes the place: share and scores (B,M,64)."""
    taken = ops.cast(share > TAKEN, "float32")                             # (B,M,64)
    return cross_entropy(taken, scores, 1.0 + (RARE - 1.0) * taken)


def label_contrast(z, label, temperature=TEMPERATURE):
    """LBCL: pulls windows of one label together and pushes those of two labels apart.

    z (B,D), label (B,1). In the form of supervised contrast (Khosla et al. 2020,
    L_out): for each window the mean log-probability of its positives among all
    the others. CLMLF's idea (Li et al. 2022); its published code applies the
    temperature after the soft-max, which this does not. Windows without a positive
    are ignored.
    """
    alone = ops.eye(ops.shape(z)[0])                                       # (B,B)
    scores = ops.matmul(z, ops.transpose(z)) / temperature + alone * FAR   # (B,B)
    same = ops.cast(ops.equal(label, ops.transpose(label)), "float32") * (1.0 - alone)
    positives = ops.sum(same, axis=1)                                      # (B,)
    found = ops.sum(same * ops.log_softmax(scores, axis=1), axis=1) / ops.maximum(positives, 1.0)
    return -ops.sum(found) / ops.maximum(ops.sum(ops.cast(positives > 0, "float32")), 1.0)


def data_contrast(one, other, temperature=TEMPERATURE):
    """DBCL: InfoNCE between two views of the same windows, both ways.

    one, other (B,D): row i of both is one window; positives lie on the diagonal.
    """
    return soft_contrast(one, other, ops.eye(ops.shape(one)[0]), temperature)


def soft_contrast(one, other, target, temperature=TEMPERATURE):
    """Cross-entropy of the matches between two sets, both ways; target (B,B) need not be scaled.

    Rows without a target are ignored.
    """
    scores = ops.matmul(one, ops.transpose(other)) / temperature           # (B,B)
    return 0.5 * (belonging(scores, target) + belonging(ops.transpose(scores), ops.transpose(target)))


def belonging(scores, target):
    """Mean over the rows of −log of the target's share of the soft-max; rows without a target are ignored."""
    total = ops.sum(target, axis=1)                                        # (B,)
    found = ops.sum(target * ops.log_softmax(scores, axis=1), axis=1) / ops.maximum(total, 1e-6)
    counted = ops.cast(total > 0, "float32")
    return -ops.sum(found * counted) / ops.maximum(ops.sum(counted), 1.0)


def pair_targets(label, paired, there):
    """Soft targets between videos (rows) and currents (columns): (B,B).

    label (B,1); paired (B,1) 1 where a window's two senses were recorded together;
    there (B,1) 1 where both are present. A window's own partner weighs as much as
    all others of its label; those count as positives too, because a quiet current fits
    any glowing shell.
    """
    same = ops.cast(ops.equal(label, ops.transpose(label)), "float32")     # (B,B)
    own = ops.eye(ops.shape(label)[0])                                     # (B,B)
    others = same * (1.0 - own)
    count = ops.maximum(ops.sum(others, axis=1, keepdims=True), 1.0)       # (B,1)
    target = others / count + own * (1.0 + paired)
    return target * there * ops.transpose(there)


def huber(error, knee=1.0):
    """Quadratic near 0, linear beyond the knee; elementwise."""
    size = ops.abs(error)
    return ops.where(size < knee, 0.5 * error * error, knee * (size - 0.5 * knee))


def stop(x):
    """The same values, without a gradient."""
    return keras.ops.stop_gradient(x)

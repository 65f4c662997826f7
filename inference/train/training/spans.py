"""Trains the layers that read the current's statistics by themselves, before the whole network is fine-tuned.

They need no pixels, so they see five times as many windows as in fine-tuning, in a fifth of its time.
"""

import keras
import numpy as np

from ..data.sampler import CurrentWindows
from ..models import losses
from ..models.tokenizers import changes, relative_current

SIZE = 512  # windows of a batch
LEARNING_RATE = 2e-3
STATISTICS_SHARE = 0.5  # of the current's verdict that the statistics have when fine-tuning begins


class SpansAlone(keras.Model):
    """The current's verdict by the statistics alone, through the layers of a network."""

    def __init__(self, network, **kwargs):
        super().__init__(**kwargs)
        self.tokenizer, self.layers_read = network.current, [*network.spans, network.verdict_spans]

    def call(self, x, training=False):
        r, valid = relative_current(x["current"], x["sample_mask"], x["set_point"])  # (B,240,3), (B,240,1)
        change, both = changes(r, valid)                                   # (B,240,3), (B,240,1)
        features, spans, _ = self.tokenizer.compared(r, change, valid, both, x["current_baseline"])
        found = self.tokenizer.row(features, spans)                        # (B,45 or 48)
        for layer in self.layers_read:
            found = layer(found)
        return found                                                       # (B,1)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return losses.verdict(y["label"], y_pred, weight=y["shows"])


def statistics_weights(network):
    """The paths of the weights that read the statistics; a network without them has none."""
    return {weight.path for layer in getattr(network, "spans", []) for weight in layer.weights}


def pretrain(network, batches, log=print):
    """Trains the layers for config.spans_steps batches of SIZE windows of current.

    The current's verdict is then the sum of what the statistics say and of what the network said before, each by its share.
    """
    config = network.config
    if not config.spans_steps:
        return
    log(f"training the layers of the current's statistics: {config.spans_steps} steps of {SIZE} windows")
    network.current.trainable = False
    alone = SpansAlone(network)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, config.spans_steps, alpha=0.01)
    alone.compile(keras.optimizers.AdamW(rate, weight_decay=1e-3, clipnorm=1.0), jit_compile=False)
    fitted = alone.fit(CurrentWindows(batches, config, config.spans_steps, (config.seed, 99), SIZE), epochs=1, verbose=0, shuffle=False)
    log(f"loss {fitted.history['loss'][-1]:.4f}")
    network.current.trainable = True
    for layer, share in ((network.verdict_spans, STATISTICS_SHARE), (network.verdicts["current"], 1 - STATISTICS_SHARE)):
        for weight in layer.weights:
            weight.assign(np.array(weight) * share)

"""Trains the whole network on a plant's labelled batches, and judges the training on those held out."""

from dataclasses import dataclass

import keras

from ..data import layout
from . import material, shipped, student, windows

VALIDATING = 6  # batches of windows on which the validation loss is measured


@dataclass
class Taught:
    """A network trained further, and the scored batches that judge its training."""

    model: object
    steps: int  # of training, 0 where none made the validation better
    episodes: int
    hours: list  # normal batches, as (folder, name), that it was not trained on
    before: list = ()  # held-out batches scored with the shipped model
    after: list = ()  # the same with a network that was trained without them


def taught(of, given, hours, training, score, log=print):
    """The Taught of a Shipped and a Material; hours: the normal batches, scored.

    With episodes held out, a first network finds the number of steps and is judged on batches that it
    has not seen. The one that is kept is trained as many steps on all batches.
    """
    batches = {s: [(folder, layout.read_batch(folder, n, rerolls=False)) for folder, n in getattr(given, s)] for s in layout.SPLITS}
    every = [pair for s in layout.SPLITS for pair in batches[s]]
    material.check_labelled(every)
    train, val, test = material.divided(batches, every) if training.hold_out else (every, [], [])
    # Hours that were trained on would show fewer false alarms than new ones.
    quiet = read(windows.some_hours(hours[::2]), log, "normal")
    replayed = read(given.replay, log, "replayed")
    windows_of = lambda some, steps: windows.drawn([b for _, b in some] + quiet, replayed, of.model.config, training, steps, training.seed)
    out = Taught(shipped.copied(of.model), training.steps, sum(material.episodes(b) for _, b in every), given.chosen[1::2] or given.chosen)
    # Learning draws dropout from the generators of Keras.
    keras.utils.set_random_seed(training.seed)
    learner = student.Student(out.model, of.model, training)
    if val:
        validation = windows.drawn([b for _, b in val], [], of.model.config, training, VALIDATING, training.seed + 1)
        out.steps = student.train(learner, windows_of(train, training.steps), training.steps, log, validation, "training without the held-out batches")
        sources = [(folder, b.name) for folder, b in test]
        out.before = score(of.model, sources, "held-out batches, with the shipped model")
        out.after = score(out.model, sources, "held-out batches, with the adapted model")
        out.model.set_weights(of.model.get_weights())
    if out.steps:
        student.train(learner, windows_of(every, out.steps), out.steps, log, what="training on all labelled batches")
    return out


def read(sources, log, what):
    found = [layout.read_batch(folder, name, rerolls=False) for folder, name in sources]
    if found:
        log(f"read {len(found)} {what} batches to train on")
    return found

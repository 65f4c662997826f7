"""What a plant gives: normal hours, labelled batches and data to replay, checked before anything slow starts."""

from dataclasses import dataclass, field

import numpy as np

from ..data import layout

LEAST_SECONDS = 600  # of normal work; fewer tell nothing of a tail
EPISODES = 3  # fewest labelled episodes, in as many batches, of which some are held out


@dataclass
class Material:
    """Batches as (folder, name)."""

    chosen: list = field(default_factory=list)  # normal hours that thresholds and calibration are chosen on
    reported: list = field(default_factory=list)  # normal hours that nothing is chosen on
    train: list = field(default_factory=list)  # labelled batches, by their splits
    val: list = field(default_factory=list)
    test: list = field(default_factory=list)
    replay: list = field(default_factory=list)

    @property
    def labelled(self):
        return self.train + self.val + self.test


def gathered(normal, labelled, replay):
    """The Material of folders; raises ValueError naming the folder in which something is missing."""
    if not normal and not labelled:
        raise ValueError("nothing to adapt to; name normal hours with --normal, labelled batches with --labelled, or both")
    if replay and not labelled:
        raise ValueError("--replay is for training on labelled batches; name them with --labelled, or leave it out")
    found = Material()
    for folder in normal:
        split = {s: _named(folder, s) for s in layout.SPLITS}
        chosen = split["train"] + split["val"] or split["test"]
        if not chosen:
            raise ValueError(f"{folder}: no batch is named in val.json or test.json; export normal hours into it (meltwatch export --normal)")
        found.chosen += chosen
        found.reported += split["test"] if chosen != split["test"] else []
    for folder in labelled:
        split = {s: _named(folder, s) for s in layout.SPLITS}
        if not any(split.values()):
            raise ValueError(f"{folder}: no batch is named in train.json, val.json or test.json; export labelled stretches into it (meltwatch export)")
        for s, names in split.items():
            getattr(found, s).extend(names)
    for folder in replay:
        names = _named(folder, "train") or _named(folder, "test")
        if not names:
            raise ValueError(f"{folder}: no batch is named in train.json or test.json; make some with furnace-sim dataset")
        found.replay += names
    twice = {n for n in found.chosen + found.reported if n in found.labelled}
    if twice:
        folder, name = sorted(twice)[0]
        raise ValueError(f"{folder}: {name} is given as normal and as labelled; name the folder once")
    return found


def _named(folder, split):
    return [(str(folder), n) for n in layout.names(folder, split)]


def check_normal(folder, batch):
    """Raises ValueError if a batch of normal hours has an abnormal second."""
    abnormal = np.flatnonzero(batch.label == 1)
    if len(abnormal):
        raise ValueError(f"{folder}, {batch.name}: second {abnormal[0]} is labelled abnormal, in hours given as normal; "
                         "take the batch out of val.json and test.json, or give the folder with --labelled")


def check_enough(scored):
    """Raises ValueError unless the normal hours hold enough scored seconds."""
    seconds = sum(int((s.predictions.label == 0).sum()) for s in scored)
    told = sum(int(s.normal.sum()) for s in scored)
    folders = ", ".join(dict.fromkeys(s.folder for s in scored))
    if not seconds:
        raise ValueError(f"{folders}: no second is labelled normal; export hours of normal work (meltwatch export --normal)")
    if seconds < LEAST_SECONDS or not told:
        raise ValueError(f"{folders}: {seconds} normal seconds, at least {LEAST_SECONDS} are needed, an hour or more is better; export more hours")


def check_labelled(batches):
    """Raises ValueError unless labelled batches hold both classes."""
    labels = np.concatenate([b.label for _, b in batches])
    folders = ", ".join(dict.fromkeys(folder for folder, _ in batches))
    for label, word in ((1, "abnormal"), (0, "normal")):
        if not (labels == label).any():
            raise ValueError(f"{folders}: no second is labelled {word}; label at least one abnormal stretch with normal work beside it")


def episodes(batch):
    """The number of abnormal episodes of a batch."""
    return len(np.unique(batch.onset[np.isfinite(batch.onset) & (batch.label == 1)]))


def divided(given, batches):
    """Labelled batches as (train, val, test), lists of (folder, batch).

    given: the same by split, from the folders; it stands if val and test have both classes. Otherwise,
    from three batches with an episode on, every third validates and every third tests. With
    fewer all are trained on and nothing is held out.
    """
    both = lambda some: {0, 1} <= {int(label) for _, b in some for label in np.unique(b.label)}
    if all(both(given[s]) for s in layout.SPLITS):
        return tuple(given[s] for s in layout.SPLITS)
    with_episode = [pair for pair in batches if both([pair])]
    if len(with_episode) < EPISODES:
        return batches, [], []
    val, test = with_episode[1::3], with_episode[2::3]
    held = {id(b) for _, b in val + test}
    return [pair for pair in batches if id(pair[1]) not in held], val, test

"""The data of a fold: which batches train, choose thresholds and are scored, and what is refused.

Melts of a left-out family are refused for training and left aside for thresholds, and melts
that score must be of the left-out pair, of seeds of which nothing else was made.
"""

import dataclasses
import functools
import json
import pathlib

from ..data import layout
from ..data.families import OWN, families
from ..data.identity import identity
from .folds import Fold

# Seeds of sets of the left-out families that are read elsewhere (docs/transfer.md, docs/transfer-earlier.md, docs/adapting.md, the folds of the release).
READ = (901, 943, 971, *range(981, 986), *range(1120, 1124))


@dataclasses.dataclass
class Sources:
    """The folders of a fold's data sets."""

    fold: Fold
    train: pathlib.Path
    val: pathlib.Path  # melts of both classes, split val
    normal: pathlib.Path  # normal hours, split val
    scored: pathlib.Path  # melts of the left-out pair, split test

    PARTS = ("val", "own", "elsewhere", "scored")  # besides train: melts, normal hours of the own house and of others, melts

    @functools.cached_property
    def names(self):
        """The names of the batches of each part; of val and of the normal hours those without a left-out family."""
        val, normal = (self.seen(folder) for folder in (self.val, self.normal))
        pairs = families(self.normal)
        own = [n for n in normal if pairs.get(n, OWN) == OWN]
        elsewhere = [n for n in normal if n not in own]
        found = {"train": layout.names(self.train, "train"), "val": val, "own": own or elsewhere,
                 "elsewhere": elsewhere if own else [], "scored": layout.names(self.scored, "test")}
        for part, split in (("train", "train"), ("val", "val"), ("own", "val"), ("scored", "test")):
            if not found[part]:
                raise ValueError(f"{self.folder(part)}: has no batch in {split} that the fold {self.fold.name} may use; "
                                 "assign some to it, of families that the fold has")
        return found

    def folder(self, part):
        return {"train": self.train, "val": self.val, "scored": self.scored}.get(part, self.normal)

    def seen(self, folder):
        """The validation batches of families that training has seen."""
        pairs = families(folder)
        return [n for n in layout.names(folder, "val") if not self.left_out(pairs.get(n, OWN))]

    def left_out(self, pair):
        return pair[0] == self.fold.picture or pair[1] == self.fold.current

    def identities(self):
        """A digest of each part's batches."""
        return {part: identity(self.folder(part), names) for part, names in self.names.items()}

    def check(self):
        """Raises ValueError for data on which the comparison would not be one of unseen furnaces."""
        self.check_training()
        self.check_scored()
        self.names  # noqa: B018 (raises for a part without batches)

    def check_training(self):
        trains = set(layout.names(self.train, "train"))
        for batch in described(self.train):
            held = {batch.get("picture"), *(r.get("current") for r in batch["records"])} & {self.fold.picture, self.fold.current}
            if held and batch["name"] in trains:
                raise ValueError(f"{self.train}: {batch['name']} trains with {' and '.join(sorted(held))}, which the fold {self.fold.name} leaves out; "
                                 "make the training data without it (furnace-sim dataset --picture … --current …)")

    def check_scored(self):
        pairs, wanted = families(self.scored), (self.fold.picture, self.fold.current)
        if strange := [n for n in layout.names(self.scored, "test") if pairs.get(n, OWN) != wanted]:
            raise ValueError(f"{self.scored}: {strange[0]} is of {' and '.join(pairs.get(strange[0], OWN))}; the fold {self.fold.name} is scored on "
                             f"{' and '.join(wanted)} alone: furnace-sim dataset --life hard --picture {wanted[0]} --current {wanted[1]} --train 0 --val 0")
        seed = index(self.scored).get("seed")
        if seed is None:
            raise ValueError(f"{self.scored}: its dataset.json does not tell a seed, so that its melts are unseen cannot be known; name a folder that furnace-sim made")
        if seed in READ:
            raise ValueError(f"{self.scored}: melts of seed {seed} are read elsewhere, so choices may have followed from them; make melts of another seed")
        drawn = draws(self.scored)
        for folder in (self.train, self.val, self.normal):
            if seed == index(folder).get("seed") or drawn & draws(folder):
                raise ValueError(f"{self.scored}: has the seed of {folder}, so its melts are not unseen; make melts of another seed")


def index(folder):
    """What the simulator tells of a data set."""
    path = pathlib.Path(folder) / "dataset.json"
    return json.loads(path.read_text()) if path.exists() else {}


def described(folder):
    return index(folder).get("batches", [])


def draws(folder):
    """A number drawn for each record, which tells its data set's seed even where several sets were joined."""
    return {r["drift_ppm"] for b in described(folder) for r in b["records"] if r.get("drift_ppm")}

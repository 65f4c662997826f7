"""A run's folder: the weights and config of a trained network, and the state of one in training."""

import dataclasses
import json
import os
import pathlib

import numpy as np

from .. import models
from ..models import familiarity
from . import configs

WEIGHTS = "model.weights.h5"
CONFIG = "config.json"
DATA = "data.json"  # what the network was trained on; runs of earlier versions lack it
UNFINISHED = "unfinished.json"


def save(model, folder, data=None):
    """Saves a trained network; data: the identity of what it was trained on."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(dataclasses.asdict(model.config), indent=2) + "\n")
    if data:
        (folder / DATA).write_text(json.dumps({"data": data}) + "\n")
    (folder / familiarity.FILE).unlink(missing_ok=True)  # of other weights
    # Last, because weights mark a finished run.
    part = folder / f"part-{WEIGHTS}"
    model.save_weights(part)
    os.replace(part, folder / WEIGHTS)


def load(folder):
    """The network that save() left in a run's folder."""
    folder = pathlib.Path(folder)
    model = models.build(configured(folder))
    model.load_weights(folder / WEIGHTS)
    model.densities = familiarity.load(folder)
    return model


def configured(folder):
    """The settings of a trained run."""
    try:
        kept = json.loads((pathlib.Path(folder) / CONFIG).read_text())
    except FileNotFoundError:
        raise ValueError(f"{pathlib.Path(folder) / CONFIG}: is missing; name the folder of a finished run of train") from None
    return configs.Run(**kept | {"phases": tuple(kept["phases"])})


def finished(folder, config, data):
    """Whether a folder holds the trained network of a run; raises ValueError if it is one of other settings or data."""
    folder = pathlib.Path(folder)
    if not (folder / WEIGHTS).exists():
        return False
    of = json.loads((folder / DATA).read_text()) if (folder / DATA).exists() else {}
    refuse_others(folder, dataclasses.asdict(configured(folder)) | of, dataclasses.asdict(config) | {"data": data})
    return True


def refuse_others(folder, kept, wanted):
    """Raises ValueError if settings differ; one that is missing on a side is not compared."""
    plain = lambda v: json.loads(json.dumps(v))  # tuples are lists in a file
    differ = [k for k in kept if k in wanted and plain(kept[k]) != plain(wanted[k])]
    if not differ:
        return
    told = ", ".join("other data" if k == "data" else f"{k} {kept[k]}, now {wanted[k]}" for k in differ)
    raise ValueError(f"{folder}: is of other settings ({told}); name another folder, or remove this one")


class Unfinished:
    """A run in training, as its last checkpoint left it in its folder.

    unfinished.json holds the step, the state of the random numbers and the name of the file
    with the weights and the optimizer's state. Raises ValueError if the folder's run has
    other settings.
    """

    def __init__(self, folder, config, data):
        self.folder = pathlib.Path(folder)
        self.settings = dataclasses.asdict(config) | {"data": data}
        self.step = 0
        self._file, self._random = None, []
        path = self.folder / UNFINISHED
        if path.exists():
            kept = json.loads(path.read_text())
            refuse_others(folder, kept["settings"], self.settings)
            self.step, self._file, self._random = kept["step"], kept["weights"], kept["random"]

    def restore(self, model):
        """Gives a compiled network the weights and the optimizer's state of the checkpoint."""
        model.optimizer.build(model.trainable_variables)
        model.load_weights(self.folder / self._file)
        for state, value in zip(random_states(model), self._random, strict=True):
            state.assign(value)

    def save(self, model, step):
        """Replaces the checkpoint; one that is interrupted leaves the one before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        before, self._file, self.step = self._file, f"unfinished-{step}.weights.h5", step
        model.save_weights(self.folder / self._file)
        part = self.folder / f"part-{UNFINISHED}"
        part.write_text(json.dumps({"step": step, "weights": self._file, "settings": self.settings,
                                    "random": [np.array(state).tolist() for state in random_states(model)]}))
        os.replace(part, self.folder / UNFINISHED)
        if before and before != self._file:
            (self.folder / before).unlink(missing_ok=True)

    def remove(self):
        """Removes the checkpoint of a run that is finished."""
        (self.folder / UNFINISHED).unlink(missing_ok=True)
        for path in self.folder.glob("unfinished-*.weights.h5"):
            path.unlink()


def random_states(model):
    """The states of a network's random numbers, which save_weights leaves out."""
    weights = {id(v) for v in model.weights}
    return [v for v in model.variables if id(v) not in weights and "seed" in v.path]

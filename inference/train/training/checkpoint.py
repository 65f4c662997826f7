"""A trained network in a run's folder: its weights and its config."""

import dataclasses
import json
import pathlib

from .. import models
from . import configs

WEIGHTS = "model.weights.h5"
CONFIG = "config.json"


def save(model, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_weights(folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(dataclasses.asdict(model.config), indent=2) + "\n")


def load(folder):
    """The network that save() left in a run's folder."""
    folder = pathlib.Path(folder)
    try:
        kept = json.loads((folder / CONFIG).read_text())
    except FileNotFoundError:
        raise ValueError(f"{folder / CONFIG}: is missing; name the folder of a finished run of train") from None
    model = models.build(configs.Run(**kept | {"phases": tuple(kept["phases"])}))
    model.load_weights(folder / WEIGHTS)
    return model

"""The model that is adapted: its network, recovered from the model folder, and what its manifest says."""

import json
import pathlib
from dataclasses import dataclass

from .. import models
from ..export import recover, saved_model
from ..models.decision import Decision
from ..training import configs

NAME = "inference/models/product"


@dataclass(frozen=True)
class Shipped:
    """model is the network with the shipped weights and is never changed; manifest holds what is not adapted."""

    model: object
    manifest: dict

    @property
    def decision(self):
        return Decision(**{k: self.manifest["decision"][k] for k in ("mean_seconds", "enter", "exit", "hold_seconds")})

    @property
    def suspect(self):
        """The suspicion's Decision, or None for a model without an early warning."""
        known = self.manifest["decision"].get("suspect")
        return Decision(**known) if known else None

    @property
    def rule(self):
        return self.manifest["rule"]

    @property
    def called(self):
        return f"{self.manifest['name']} {self.manifest['version']}"


def manifest_of(folder):
    """The manifest of a model folder, read before anything slow starts."""
    path = pathlib.Path(folder) / saved_model.MANIFEST
    if not pathlib.Path(folder).is_dir():
        raise ValueError(f"{folder}: is missing; name a model folder, such as {NAME}")
    try:
        manifest = json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"{path}: is missing; name a model folder, such as {NAME} (release makes one of a run)") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError(f"{path}: is not JSON; copy the whole model folder again") from None
    lacking = [k for k in ("name", "version", "decision", "rule", "signatures", "golden") if not isinstance(manifest, dict) or k not in manifest]
    if lacking:
        raise ValueError(f"{path}: {lacking[0]} is missing; copy the whole model folder again")
    return manifest


def opened(folder, name=None):
    """The model of a folder; name: of the config that it was trained with, default as the manifest tells."""
    manifest = manifest_of(folder)
    config = configs.ALL[name or recover.config_of(manifest)]()
    if config.system != "Product" or config.fusion_blocks:
        raise ValueError(f"{folder}: is of the config {config.name}, whose senses have no verdicts of their own; "
                         "only networks of row 10 without fusion blocks are adapted")
    return Shipped(recover.recovered(folder, config), manifest)


def copied(model):
    """A network of its own with the same weights."""
    other = models.build(model.config)
    other.set_weights(model.get_weights())
    other.densities = {}  # of other weights, once it is trained
    return other

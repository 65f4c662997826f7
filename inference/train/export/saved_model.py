"""Writes a model folder: SavedModel, golden vectors and manifest.

Only this module writes manifest.json. Variables are frozen to constants, which makes a step
a third faster and leaves nothing to initialise when Go loads the model.
"""

import hashlib
import json
import pathlib
import shutil
from dataclasses import dataclass

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

from . import golden

FORMAT = 1  # version of the manifest, see inference/manifest.go
MANIFEST = "manifest.json"
GOLDEN = "golden.json"
TOLERANCE = 1e-4  # between the exporting machine and any other


@dataclass(frozen=True)
class TensorSpec:
    """A tensor's element type and static shape, batch included."""

    dtype: str
    shape: tuple
    unit: str = ""

    def json(self):
        out = {"dtype": self.dtype, "shape": list(self.shape)}
        return out | ({"unit": self.unit} if self.unit else {})


@dataclass(frozen=True)
class Function:
    """One signature: a callable from named tensors to named tensors."""

    call: callable
    inputs: dict  # name → TensorSpec, in the order of call's arguments


def save(folder, functions, sections, vectors, beside=None):
    """Replaces the folder and returns the manifest.

    functions: signature name → Function. sections: the manifest's other keys
    (name, version, current, video, …). vectors: golden inputs, a list of
    (name, signature, {tensor: array}); their outputs are computed here,
    by the SavedModel on disk. beside: writes further files into the folder it is given.
    """
    folder = pathlib.Path(folder)
    if folder.exists():
        shutil.rmtree(folder)
    signatures = {name: freeze(function) for name, function in functions.items()}
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)
    # The fingerprint contains a time-dependent id and is unused.
    (folder / "fingerprint.pb").unlink(missing_ok=True)
    (folder / "assets").rmdir()
    loaded = load(folder)
    golden.write(folder / GOLDEN, loaded, vectors)
    if beside:
        beside(folder)
    manifest = {"format": FORMAT} | sections | {
        "signatures": {name: _describe(functions[name], loaded[name]) for name in functions},
        "labels": ["normal", "abnormal"],
        "golden": {"file": GOLDEN, "tolerance": TOLERANCE},
        "files": _hashes(folder),
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return manifest


def load(folder):
    """The folder's signatures, by name; run() takes and gives numpy arrays."""
    return _Loaded(folder)


class _Loaded(dict):
    """Keeps the loaded object alive while its functions are in use."""

    def __init__(self, folder):
        self._object = tf.saved_model.load(str(folder))
        super().__init__(
            {k: f for k, f in self._object.signatures.items() if not k.startswith("__")})

    def run(self, signature, inputs):
        outputs = self[signature](**{k: tf.constant(v) for k, v in inputs.items()})
        return {k: v.numpy() for k, v in outputs.items()}


def constant(function):
    """Freezes a function's variables to constants: its concrete function, and the outputs' names in order."""
    concrete = tf.function(function.call, input_signature=_specs(function)).get_concrete_function()
    # Freezing flattens the dictionary of outputs; tf.nest sorts by key.
    return convert_variables_to_constants_v2(concrete), sorted(concrete.structured_outputs)


def _specs(function):
    return [tf.TensorSpec(s.shape, s.dtype, name=n) for n, s in function.inputs.items()]


def freeze(function):
    """A frozen function as a signature."""
    specs, (frozen, outputs) = _specs(function), constant(function)

    @tf.function(input_signature=specs)
    def signature(*tensors):
        answers = frozen(*tensors)
        return dict(zip(outputs, answers, strict=True))

    return signature


def _describe(function, loaded):
    outputs = {
        name: TensorSpec(spec.dtype.name, tuple(spec.shape.as_list())).json()
        for name, spec in loaded.structured_outputs.items()
    }
    inputs = {name: spec.json() for name, spec in function.inputs.items()}
    return {"inputs": inputs, "outputs": outputs}


def _hashes(folder):
    """sha256 of every file in the folder but the manifest, by relative path."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in paths
    }

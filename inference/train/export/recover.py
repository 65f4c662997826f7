"""Recovers the run of an exported model, so that its fusion and thresholds can be chosen anew without training, or the network exported by newer code.

    python -m inference.train.recover --model inference/models/product --run runs/product
    python -m inference.train.calibrate --mixed data/val --test data/test --normal data/hours --run runs/product

An export holds the weights as constants. The network is exported once more with numbers of
its own in every weight, which tells which constant belongs to which weight. The model must
come from this version of the network; its golden vectors must come out as they went in.
"""

import argparse
import json
import pathlib
import re

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from .. import models
from ..evaluation.calibrate import RESULT
from ..models import familiarity
from ..training import configs
from ..training.checkpoint import save
from . import golden, saved_model
from .release import functions

GRAPH = "saved_model.pb"
VARIABLE = re.compile(r"ReadVariableOp(_\d+)?/resource$")  # in the name of a frozen variable
VERDICTS = {"p_abnormal", "p_current", "p_video"}  # a new fusion changes them
REMEDY = "check out the commit that its manifest names"


def recovered(folder, config):
    """The network of the config with the weights of a model folder."""
    folder, model, rng = pathlib.Path(folder), models.build(config), np.random.default_rng(0)
    for weight in weights(model):
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    known = {}
    exported = exported_constants(folder)
    for name, function in functions(model).items():
        frozen, _ = saved_model.constant(function)
        fresh = constants(frozen.graph.as_graph_def().node)
        known |= dict(values(weights(model), fresh, matching(fresh, exported, name)))
    for weight in weights(model):
        if weight.path not in known:
            raise ValueError(f"{folder}: {weight.path} is not part of the exported functions; {REMEDY}")
        weight.assign(known[weight.path])
    model.densities = familiarity.load(folder)
    compare(model, folder)
    return model


def config_of(manifest):
    """The name of a config with the network of a release since 0.4.0; a model's name does not tell it."""
    return "product-baseline" if "current_baseline" in manifest["signatures"]["step"]["inputs"] else "product-transfer"


def result_of(manifest):
    """What calibrate had written of the run: the reverse of release.sections()."""
    decision = {k: manifest["decision"][k] for k in ("mean_seconds", "enter", "exit", "hold_seconds")}
    return ({"decision": decision, "rule": manifest["rule"], "metrics": manifest["metrics"]}
            | {k: v for k, v in {"suspect": manifest["decision"].get("suspect"), "familiarity": manifest.get("familiarity"),
                                 "offset_confidence": manifest.get("offset", {}).get("confidence")}.items() if v})


def weights(model):
    """The variables of a network without the state of its random generators."""
    return [w for w in model.weights if "seed" not in w.path]


def constants(nodes):
    """The float constants of a graph that were variables: name → array."""
    tensors = {n.name: n.attr["value"].tensor for n in nodes if n.op == "Const" and VARIABLE.search(n.name)}
    return {name: tf.make_ndarray(t) for name, t in tensors.items() if t.dtype == tf.float32.as_datatype_enum}


def exported_constants(folder):
    """The constants of every function of a SavedModel: a list of name → array."""
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / GRAPH).read_bytes())
    return [constants(f.node_def) for graph in saved.meta_graphs for f in graph.graph_def.library.function]


def grouped(found):
    """Names of constants by their shape and their name without numbers; a graph numbers equal names in their order."""
    groups = {}
    for name in sorted(found, key=lambda n: [int(d) for d in re.findall(r"_(\d+)", n)]):
        groups.setdefault((re.sub(r"_\d+", "", name), found[name].shape), []).append(name)
    return groups


def matching(fresh, exported, name):
    """The exported values by the names of the fresh constants."""
    own = grouped(fresh)
    for found in exported:
        other = grouped(found)
        if {k: len(v) for k, v in own.items()} == {k: len(v) for k, v in other.items()}:
            return {a: found[b] for key, names in own.items() for a, b in zip(names, other[key], strict=True)}
    raise ValueError(f"the exported {name} is of another network or version; {REMEDY}")


def values(variables, fresh, exported):
    """The exported value of each variable that the fresh constants show: (path, array)."""
    for variable in variables:
        now = variable.numpy().ravel()
        for name, value in fresh.items():
            if value.size == now.size and np.array_equal(value.ravel(), now):
                yield variable.path, exported[name].reshape(variable.shape)
                break


def compare(model, folder):
    """Raises ValueError unless the network gives the folder's golden vectors."""
    manifest = json.loads((folder / saved_model.MANIFEST).read_text())
    kinds = functions(model)
    for name, signature, inputs, outputs in golden.read(folder / manifest["golden"]["file"], manifest["signatures"]):
        found = kinds[signature].call(*(tf.constant(inputs[k]) for k in kinds[signature].inputs))
        for key in outputs.keys() & found.keys() - VERDICTS:
            if np.abs(np.asarray(found[key]) - outputs[key]).max() > manifest["golden"]["tolerance"]:
                raise ValueError(f"{folder}: {key} of golden vector {name!r} differs; name the config that it was trained with")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="inference/models/product", help="the model's folder")
    parser.add_argument("--config", choices=sorted(configs.ALL), help="the config that it was trained with; default as its manifest tells, for a release since 0.4.0")
    parser.add_argument("--run", required=True, help="folder for the weights")
    args = parser.parse_args(argv)
    manifest = json.loads((pathlib.Path(args.model) / saved_model.MANIFEST).read_text())
    model = recovered(args.model, configs.ALL[args.config or config_of(manifest)]())
    save(model, args.run)
    (pathlib.Path(args.run) / RESULT).write_text(json.dumps(result_of(manifest), indent=2) + "\n")
    if model.densities:
        familiarity.save(model.densities, args.run)

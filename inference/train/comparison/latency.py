"""Measures the cost of every network: milliseconds per call on one thread, multiply-adds, parameters.

    python -m inference.train.latency            # writes docs/comparison/cost.json, 3 minutes

Weights do not affect the cost, so the networks are untrained. They are frozen as for the
release and called one window at a time through TensorFlow's runtime, in turns, so that a
load on the machine affects them all.
"""

import argparse
import json
import os
import pathlib
import time

# Read when TensorFlow loads. meltwatch-infer also disables oneDNN, which is slower for networks this small.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf

from .. import models
from ..export import saved_model
from ..export.release import functions
from ..training import configs
from .compare import RESULTS

ROUNDS, CALLS, WARM = 5, 60, 10


def inputs_of(specs):
    rng = np.random.default_rng(1)
    out = {}
    for name, spec in specs.items():
        if name == "current":
            value = 15000 + 1500 * rng.standard_normal(spec.shape)
        elif name == "set_point":
            value = np.full(spec.shape, 15000)
        elif name in ("frame_mask", "sample_mask"):
            value = np.ones(spec.shape)
        elif name == "frame":
            value = rng.integers(0, 256, spec.shape)
        else:
            value = rng.standard_normal(spec.shape)
        out[name] = value.astype(spec.dtype)
    return out


def multiply_adds(graph):
    """Multiply-adds of one call in millions, counted by TensorFlow's profiler on the frozen graph."""
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    flops = tf.compat.v1.profiler.profile(graph, options=options).total_float_ops
    return flops / 2 / 1e6


# As in the agent's session, inference/tensorflow/model.go.
ONE_THREAD = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
ONE_THREAD.experimental.executor_type = "SINGLE_THREADED_EXECUTOR"


def frozen(model):
    """The frozen step of a model, called through a session as in the agent: graph, call, inputs.

    A tf.function would spend more time in Python on each call than these networks take.
    """
    function = functions(model)["step"]
    concrete, _ = saved_model.constant(function)
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(concrete.graph.as_graph_def(), name="")
    session = tf.compat.v1.Session(graph=graph, config=ONE_THREAD)
    call = session.make_callable([t.name for t in concrete.outputs], [t.name for t in concrete.inputs])
    return graph, call, list(inputs_of(function.inputs).values())


def measure(calls):
    """Percentiles of each call in milliseconds, measured in turns: name → {p50, p95}."""
    times = {name: [] for name in calls}
    for call, inputs in calls.values():
        for _ in range(WARM):
            call(*inputs)
    for _ in range(ROUNDS):
        for name, (call, inputs) in calls.items():
            for _ in range(CALLS):
                start = time.perf_counter()
                call(*inputs)
                times[name].append(time.perf_counter() - start)
    return {n: {f"p{p}": round(1000 * float(np.percentile(t, p)), 3) for p in (50, 95)} for n, t in times.items()}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=RESULTS / "cost.json", type=pathlib.Path)
    args = parser.parse_args(argv)
    calls, cost = {}, {}
    for kind in configs.ROWS:
        name, model = kind().name, models.build(kind())
        graph, *calls[name] = frozen(model)
        cost[name] = {"parameters": model.count_params(), "million_multiply_adds": round(multiply_adds(graph), 2)}
    for name, percentiles in measure(calls).items():
        cost[name] |= percentiles
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(cost, indent=1) + "\n")
    for name, c in cost.items():
        print(f"{name:20} {c['p50']:7.3f} ms {c['million_multiply_adds']:8.2f} M {c['parameters']:8d}")

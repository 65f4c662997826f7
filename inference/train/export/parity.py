"""Compares Go and Python on this machine over the golden vectors.

    python -m inference.train.parity

Runs the Go test with -dump and requires every output within 1e-5 of Python's. Needs the
compiler settings that `make env` prints. Exits with 1 on a difference.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from . import golden, saved_model

LIMIT = 1e-5


def differences(folder, dump):
    """The greatest difference between Python and Go's dump, by (signature, output)."""
    signatures = json.loads((pathlib.Path(folder) / saved_model.MANIFEST).read_text())["signatures"]
    loaded, greatest = saved_model.load(folder), {}
    for _, signature, inputs, outputs in golden.read(dump, signatures):
        for name, value in loaded.run(signature, inputs).items():
            d = float(np.abs(value - outputs[name]).max())
            greatest[signature, name] = max(greatest.get((signature, name), 0.0), d)
    return greatest


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="inference/models/product", help="the committed model's folder")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        dump = os.path.join(scratch, "go.json")
        subprocess.run(["go", "test", "-count=1", "-run", "TestGolden/product", "./inference/tensorflow",
                        "-dump", dump], check=True)
        greatest = differences(args.model, dump)
    for (signature, name), d in sorted(greatest.items()):
        print(f"{signature}.{name}: {d:.1e}")
    sys.exit(any(d > LIMIT for d in greatest.values()))

"""Golden vectors: raw inputs and outputs on which Go and Python must agree.

One JSON file, {"vectors": [{name, signature, inputs, outputs}]}; each tensor is
its row-major little-endian bytes in base64; the manifest has its type and shape.
parity.py and inference/tensorflow read it.
"""

import base64
import json
import pathlib

import numpy as np


def write(path, loaded, vectors):
    """Runs each (name, signature, inputs) on the loaded model and stores both sides."""
    entries = []
    for name, signature, inputs in vectors:
        outputs = loaded.run(signature, inputs)
        entries.append({
            "name": name,
            "signature": signature,
            "inputs": {k: _pack(v) for k, v in inputs.items()},
            "outputs": {k: _pack(v) for k, v in outputs.items()},
        })
    pathlib.Path(path).write_text(json.dumps({"vectors": entries}, indent=1) + "\n")


def read(path, signatures):
    """The vectors as (name, signature, inputs, outputs) with numpy arrays."""
    vectors = json.loads(pathlib.Path(path).read_text())["vectors"]
    for v in vectors:
        s = signatures[v["signature"]]
        yield (
            v["name"], v["signature"],
            {k: _unpack(t, s["inputs"][k]) for k, t in v["inputs"].items()},
            {k: _unpack(t, s["outputs"][k]) for k, t in v["outputs"].items()},
        )


def _pack(array):
    array = np.ascontiguousarray(array)
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()


def _unpack(text, spec):
    dtype = np.dtype(spec["dtype"]).newbyteorder("<")
    return np.frombuffer(base64.b64decode(text), dtype).reshape(spec["shape"])

"""Evaluates a melt offline, for comparison with the agent's live messages.

    python -m inference.train.agree --data FOLDER > offline.json

Runs the exported model along every test batch in the agent's closed loop, and applies the
manifest's thresholds. Prints, by batch, for each second: p_abnormal, whether there was
enough input for a verdict, whether the state is abnormal, and the label. `bench agree`
compares the live messages with them.
"""

import argparse
import json
import pathlib
import sys

from ..data import layout
from ..evaluation import streaming
from ..models import decision
from .exported import Exported


def predicted_seconds(model, batches):
    """The seconds of every batch by its name."""
    predicted = streaming.predict(model, batches, model.decision, alone=False)
    return {j.name: seconds(j, model.decision) for j in predicted}


def seconds(predicted, thresholds):
    return {
        "p": [round(float(p), 6) for p in predicted.both],
        "decided": predicted.decided.tolist(),
        "abnormal": decision.states(predicted.both, predicted.decided, thresholds).tolist(),
        "label": predicted.label.tolist(),
    }


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of the data set")
    parser.add_argument("--model", default="inference/models/product", help="the model's folder")
    args = parser.parse_args(argv)
    batches = layout.read_split(args.data, "test", rerolls=False)
    json.dump(predicted_seconds(Exported(pathlib.Path(args.model)), batches), sys.stdout)

"""Training of the alignment model that the agent runs.

The network aligns three-phase current and shell video of one furnace in time
and answers, each second, whether the furnace is abnormal. Data come in the V2
layout (windows.py), the network is written with keras.ops only, so it trains
on any Keras backend, and TensorFlow itself appears in export.py alone.

    python -m inference.train.train --data data --out inference/models/product
"""

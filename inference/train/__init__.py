"""Training of the alignment model that the agent runs.

The network aligns three-phase current and shell video of one furnace in time
and answers, each second, whether the furnace is abnormal. It is written with
keras.ops only, so it trains on any Keras backend, and TensorFlow itself appears
in export/ and in the comparison of costs alone. docs/model.md has the commands;
each is a file here, python -m inference.train.COMMAND. Where to look, in the order
in which a package may import the ones before it (tests/test_layout.py):

    data/        a data set of any layout → batches; tokens on disk; training windows
    models/      a file a network, what they share, the losses, the loop that runs one
    training/    a run's settings; from recordings to weights
    evaluation/  whole records through a network; the choice of thresholds; the figures
    export/      the model's folder, and the checks of what lies in it
    comparison/  all networks scored alike → docs/comparison.md, also on furnaces that training left out
    commands/    the arguments of commands, read before anything that takes seconds to import
"""

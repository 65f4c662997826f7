"""Training of the alignment model that the agent runs.

The network aligns three-phase current and shell video of one furnace in time
and answers, each second, whether the furnace is abnormal. It is written with
keras.ops only, so it trains on any Keras backend, and TensorFlow itself appears
in export.py alone. docs/model.md has the commands. Where to look:

    layout.py, records.py          a data set of any layout → batches
    tokenizers.py, senses.py       pixels and amperes → tokens, trained once, then frozen
    cache.py, windows.py           tokens of every frame → training windows
    system.py                      what every network shares; a file a network beside it
    configs.py, train.py           a run's settings; the trainer
    judge.py, release.py           thresholds and figures; the model's folder
    compare.py, comparison_page.py all networks judged alike → docs/comparison.md
"""

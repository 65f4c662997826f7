"""How much a window is like the windows of training, for each sense: 1 for like, to 0 for unlike anything.

Each sense's window becomes a vector of features that a furnace keeps over minutes. Its
distance to the nearest of several centres, in units of the scatter about them, becomes the
familiarity 1 / (1 + (d / edge)^steepness): half at the distance that one training window in
a hundred exceeds. Both classes and all furnaces that training saw have centres of their
own, so an abnormal furnace is familiar, and a stranger's calm one is not.

The constants come from training windows (evaluation/familiarity.py) after the network is
trained, and are kept beside its weights. A network without them tells no familiarity.

Shapes: B windows, F features of a sense, Q directions, K centres.
"""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from ..data import window

SENSES = ("current", "video")
FILE = "familiarity.npz"  # in a run's folder
MISSING = -1.0  # while the window holds too little of the sense
ENOUGH_SAMPLES = window.SAMPLES // 4  # of current, of which a slow and lossy meter gives that many in a whole window
ENOUGH_FRAMES = window.FRAMES // 2
EDGE = 0.99  # share of the training windows that are nearer than the edge

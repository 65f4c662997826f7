"""Writes small records in the published layouts, as the tests' own data.

One furnace runs through all of them: 400 s, feeding the same pictures and currents, with
a spot that glows from 200 s on. Pictures are larger than 64×64, as cameras give them.
"""

import datetime
import json

import h5py
import numpy as np
import scipy.io

SECONDS, FPS, GLOWS = 400, 4, 200
HEIGHT, WIDTH = 96, 128
BEGAN = datetime.datetime(2023, 5, 10, 21, 33, 27)


def video():
    """(H,W,3,N) uint8 and its mask (H,W,N): rows and columns tell themselves apart."""
    n = SECONDS * FPS
    frames = np.full((HEIGHT, WIDTH, 3, n), 40, np.uint8)
    frames[:, :, 1] = np.arange(n) // FPS % 200  # green is the second
    mask = np.zeros((HEIGHT, WIDTH, n), np.uint8)
    mask[24:48, 80:96, GLOWS * FPS :] = 1
    frames[24:48, 80:96, 0, GLOWS * FPS :] = 240
    return frames, mask


def amps(instants):
    """(3,n) amperes: phase A tells the second."""
    noise = np.random.default_rng(1).normal(0, 500, (3, len(instants)))
    noise[0] = 0
    return 12000 + 10 * np.floor(instants) + noise


def split():
    """Frames to train on and to test on, with 20 s between that nobody gets."""
    index = np.arange(SECONDS * FPS)
    second = index // FPS
    return index[(second < 150) | (second >= 320)], index[(second >= 170) & (second < 300)]


def write_v1(path, hdf5):
    """One record as .mat, by scipy (version 5) or as MATLAB writes version 7.3."""
    frames, mask = video()
    _, test = split()
    part = np.full((1, SECONDS * FPS), 2, np.uint8)  # 2: nobody's
    part[0, split()[0]], part[0, test] = 0, 1
    variables = {"video": frames, "label": mask, "train_test_index": part,
                 "current": amps(np.arange(SECONDS * FPS) / FPS)}
    write_mat(path, variables, hdf5)
    (path.parent / "dataset.json").write_text(json.dumps({"fps": FPS}))


def write_mat(path, variables, hdf5):
    if not hdf5:
        scipy.io.savemat(path, variables)
        return
    with h5py.File(path, "w") as file:  # HDF5 counts the axes the other way round
        for name, value in variables.items():
            file[name] = value.T


def write_v2(folder, name="SaveToAvi-4-19"):
    """The published folder: HDF5 videos, clocks that show seconds, frames dealt by index."""
    for part in ("videos", "currents", "timestamps"):
        (folder / part).mkdir(parents=True)
    frames, mask = video()
    write_mat(folder / "videos" / f"{name}.mat", {"data": frames, "label": mask}, hdf5=True)
    clock = lambda second: (BEGAN + datetime.timedelta(seconds=int(second))).isoformat(" ")
    stamps = [clock(i // FPS) for i in range(SECONDS * FPS)]
    (folder / "timestamps" / f"{name}.csv").write_text("\n".join(["time", *stamps]) + "\n")
    instants = np.arange(2 * SECONDS) / 2
    rows = [f"{clock(t)},{a:.2f},{b:.2f},{c:.2f}" for t, (a, b, c) in zip(instants, amps(instants).T, strict=True)]
    (folder / "currents" / f"{name}.csv").write_text("\n".join(["Time,Ia,Ib,Ic", *rows]) + "\n")
    for part, index in zip(("train", "test"), split(), strict=True):
        (folder / f"{part}.json").write_text(json.dumps({f"{name}.mat": index.tolist()}))

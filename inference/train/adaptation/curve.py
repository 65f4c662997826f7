"""Measures adapting on a furnace that training has left out: normal hours × labelled episodes (commands/adaptation_curve.py)."""

import json
import os
import pathlib
import shutil
import subprocess

from ..comparison import transfer
from ..data import layout
from ..evaluation import metrics
from ..export import release
from ..training.checkpoint import load
from ..training.fit import stopwatch
from . import adapt, curve_page, material, scoring, shipped, student

HOURS, EPISODES = (0, 1, 5, 20), (0, 1, 3, 10)
BATCH = 1800  # seconds of a batch of normal hours
MELT = 900  # seconds of a labelled melt, which has about one episode
MELTS = 24
JUDGED_HOURS = 6
REPLAYED = 24  # melts of MELT seconds
SEEDS = {"normal": 981, "labelled": 982, "judged": 983, "home": 984, "others": 985}
SIMULATOR = release.AGENT.with_name("furnace-sim")
OWN = transfer.OWN


def made(folder, *words):
    """A data set of the simulator, made once."""
    folder = pathlib.Path(folder)
    if not (folder / "dataset.json").exists():
        run = subprocess.run([SIMULATOR, "dataset", "--out", folder, "--workers", "1", *map(str, words)], capture_output=True, text=True)
        if run.returncode:
            raise ValueError(f"{folder}: furnace-sim refuses: {run.stderr.strip().splitlines()[-1]}")
    return folder


def plant(folder, pair, seen):
    """The data of one left-out furnace, as a plant would have them, and data to replay of the furnaces that were seen."""
    folder, of = pathlib.Path(folder), ("--picture", pair[0], "--current", pair[1])
    quiet = lambda name, hours: made(folder / name, "--life", "normal", *of, "--batches", hours * 3600 // BATCH, "--seconds", BATCH,
                                     "--seed", SEEDS[name], "--train", 0, "--val", 0)
    hard = lambda name, batches, of: made(folder / name, "--life", "hard", *of, "--batches", batches, "--seconds", MELT,
                                          "--seed", SEEDS[name], "--train", 0, "--val", 0)
    labelled = hard("labelled", MELTS, of)
    # No plant knows which sense an episode shows in.
    shutil.rmtree(labelled / "truth", ignore_errors=True)
    home = made(folder / "home", "--life", "mixed", "--batches", REPLAYED // 2, "--seconds", MELT, "--seed", SEEDS["home"], "--train", 0, "--val", 0)
    others = hard("others", REPLAYED // 2, ("--picture", seen[0], "--current", seen[1]))
    return {"normal": quiet("normal", max(HOURS)), "judged": quiet("judged", JUDGED_HOURS), "labelled": labelled, "replay": [home, others]}


def given(data, hours, episodes):
    """The Material of a cell."""
    of = lambda folder: [(str(folder), n) for n in layout.names(folder, "test")]
    labelled, count = [], 0
    for folder, name in of(data["labelled"]) if episodes else ():
        own = material.episodes(layout.read_batch(folder, name, rerolls=False))
        if count < episodes and 0 < own <= episodes - count:
            labelled, count = [*labelled, (folder, name)], count + own
    replay = [pair for folder in data["replay"] for pair in of(folder)] if labelled else []
    return material.Material(chosen=of(data["normal"])[: hours * 3600 // BATCH], train=labelled, replay=replay)


def cell(of, data, hours, episodes, training, every, log):
    """The adapted model of a cell, and what is known of its making."""
    some = given(data, hours, episodes)
    if not hours and not episodes:
        return adapt.Adapted(of.model, of.decision, of.suspect, of.rule)
    # The hours hold no abnormal melt, so all alarms in them are false.
    request = adapt.Request("", "", every=every, training=training, confirmed=True)
    return adapt.adapted(of, some, request, log)


def figures(found, judged, quiet, home, every, log):
    """Figures of an adapted model on the left-out furnace and at home."""
    score = lambda folder, what: scoring.score(found.model, [(str(folder), n) for n in layout.names(folder, "test")], found.decision, every, log, what)
    of = lambda scored: [(s.predictions, transfer.witnesses(s.batch, s.predictions)) for s in scored]
    there = transfer.figures(of(score(judged, "melts of the left-out furnace")), of(score(quiet, "normal batches of it")), found.decision, found.suspect)
    own = transfer.figures(of(score(home, "melts at home")), [], found.decision, found.suspect)
    return {"there": metrics.rounded(there), "home": metrics.rounded(own),
            "decision": vars(found.decision), "suspect": vars(found.suspect) if found.suspect else None,
            "claims": found.claims, "steps": found.steps, "episodes": found.episodes, "hours": round(found.hours, 2),
            "held_out": {"before": found.before, "after": found.after} if found.before else None}


def of_run(run, model):
    """The Shipped of a run whose thresholds are those of a model folder or of its own result."""
    manifest = shipped.manifest_of(model)
    result = pathlib.Path(run) / "result.json"
    if result.exists():
        known = json.loads(result.read_text())
        own = known["decision"] | ({"suspect": known["suspect"]} if "suspect" in known else {})
        kept = {k: v for k, v in manifest["decision"].items() if k.startswith("freeze")}
        manifest = manifest | {"decision": own | kept, "rule": known["rule"]}
    return shipped.Shipped(load(run), manifest)


def measure(name, run, model, pair, seen, data, judged, home, cells, kept, page=None, ceiling=False, training=None, every=3, log=None):
    """Measures cells, (hours, episodes), that the file `kept` lacks, one after the other, and writes the page."""
    log, kept = log or stopwatch(), pathlib.Path(kept)
    own = lambda known: known.setdefault(name, {"pair": list(pair), "cells": {}} | ({curve_page.CEILING: True} if ceiling else {}))["cells"]
    data = plant(data, pair, seen)
    of = of_run(run, model) if run else shipped.opened(model)
    for hours, episodes in cells:
        at = f"{hours}/{episodes}"
        if at in own(read(kept)):
            log(f"{name}: {at} is measured already")
            continue
        log(f"{name}: {hours} h of normal work, {episodes} episodes")
        found = cell(of, data, hours, episodes, training or student.Training(hold_out=False), every, log)
        measured = figures(found, judged, data["judged"], home, every, log)
        # Read again: another measurement may have added cells.
        known = read(kept)
        own(known)[at] = measured
        part = kept.with_suffix(".part")
        part.write_text(json.dumps(known, indent=1) + "\n")
        os.replace(part, kept)
    if page:
        pathlib.Path(page).write_text(curve_page.page(read(kept)), encoding="utf-8")


def read(kept):
    """The figures kept so far."""
    return json.loads(kept.read_text()) if kept.exists() else {}

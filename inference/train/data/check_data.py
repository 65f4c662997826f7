"""Checks a data set: prints the content of every batch, and every fault with its file and remedy.

    python -m inference.train.check_data --data data/own
    python -m inference.train.check_data --data data/own-normal --normal

Writes frames as the model will see them to contact-sheet.png in that folder (--sheet FILE,
or --sheet '' for none), which shows a person swapped colours or axes, or a wrong crop.

--normal is for the set of normal hours that calibrate uses: nothing is trained on it, and
it must not contain an abnormal second. Exits with 1 if there is a fault, because training
would fail or learn something unintended.
"""

import argparse
import pathlib

import numpy as np

from . import contact_sheet, layout, window

WHOLE = 120 + window.FRAMES  # seconds that the first whole window needs
SPARSE = 0.5  # least coverage of a sense
LEAST_AMPS, MOST_AMPS = 500, 100e3  # of a furnace in operation: median of the readings


DARK = 4  # mean level below which frames show nothing


def check(folder, normal=False, say=print, sheet=None):
    """Prints a line for each batch and returns the faults; sheet: a contact_sheet.Sheet that collects frames of each batch."""
    try:
        reader = layout.kind(folder)
    except ValueError as err:
        return [str(err)]
    say(f"{folder}: layout {reader.__name__.rpartition('_')[2].upper()}")
    say(f"{'split':6} {'batch':32} {'seconds':>8} {'frames':>8} {'current':>8} {'abnormal':>9} {'unscored':>9} {'episodes':>9} {'rerolls':>8}")
    faults, splits = [], {}
    for split in layout.SPLITS[1 if normal else 0 :]:
        try:
            splits[split] = layout.names(folder, split)
        except ValueError as err:
            faults += [str(err)] if str(err) not in faults else []
            continue
        faults += _split(folder, split, splits[split], normal, say, sheet)
    return [*faults, *_twice(folder, splits)]


def _split(folder, split, names, normal, say, sheet):
    """Checks a split's batches, one at a time, because a whole set need not fit into memory."""
    faults, seconds, scored, whole = [], 0, {0: 0, 1: 0}, True
    for name in names:
        try:
            batch = layout.read_batch(folder, name)
        except (ValueError, OSError) as err:
            faults.append(str(err))
            whole = False
            continue
        say(_line(split, batch))
        if sheet is not None:
            sheet.add(batch)
        faults += [f"{name}: {fault}" for fault in _batch(batch)]
        seconds += len(batch.label)
        for label in scored:
            scored[label] += int((batch.label == label).sum())
    share = scored[1] / max(sum(scored.values()), 1)
    say(f"{split:6} {len(names)} batches, {seconds / 3600:.1f} h, {share:.0%} of the scored seconds abnormal")
    if not names:
        return [*faults, f"{folder}: no batch is assigned to {split}; name some in {split}.json"]
    if normal and scored[1]:
        faults.append(f"{folder}: {scored[1]} abnormal seconds in {split}; remove the batches that contain them from {split}.json")
    for label, word in ((0, "normal"), (1, "abnormal")):
        # A batch that could not be read may contain it.
        if whole and not scored[label] and not (normal and label):
            faults.append(f"{folder}: no {word} second in {split}; assign its batches so that each split has both classes")
    return faults


def _line(split, batch):
    label, episodes = batch.label, np.unique(batch.onset[np.isfinite(batch.onset)])
    mask = batch.currents[0].mask
    return (f"{split:6} {batch.name:32} {len(label):8} {np.mean(batch.frame_at >= 0):8.0%} {np.mean(mask):8.0%} "
            f"{np.mean(label == 1):9.0%} {np.mean(label == -1):9.0%} {len(episodes):9} {len(batch.currents) - 1:8}")


def _batch(batch):
    """Faults of a batch that could be read."""
    record = batch.currents[0]
    read = record.amps[record.mask > 0]
    if len(batch.label) < WHOLE:
        yield f"lasts {len(batch.label)} s, the first whole window needs {WHOLE}; join it with the next batch, or remove it"
    if np.mean(batch.frame_at >= 0) < SPARSE:
        yield (f"only {np.mean(batch.frame_at >= 0):.0%} of the seconds have a frame; "
               "check that timestamps/ and labels/ count from the same instant")
    if np.mean(record.mask) < SPARSE:
        yield (f"only {np.mean(record.mask):.0%} of the samples are present at {window.SAMPLE_HZ} a second; "
               "check that currents/ and timestamps/ use the same clock, and sample twice a second")
    shown = batch.frames[np.unique(batch.frame_at[batch.frame_at >= 0])]
    if len(shown) and shown.mean() < DARK:
        yield f"frames are black (mean level {shown.mean():.1f} of 255); write levels from 0 to 255, and check the contact sheet"
    if blue := _bluer(batch):
        yield (f"hot spots are bluer than red ({blue:.0%} of the frames that show one); write colours in the order R G B "
               "(OpenCV reads B G R), and check the contact sheet")
    if len(read) and not LEAST_AMPS <= np.median(read) <= MOST_AMPS:
        yield f"the median current is {np.median(read):g}; write amperes, not kiloamperes or a meter's raw counts"
    if len(read) and (np.ptp(read, axis=0) == 0).any():
        yield "a phase is constant; record its readings from the meter"


def _bluer(batch):
    """The share of frames whose hot spot is bluer than red, if more than half; otherwise, or without masks, 0.

    Glowing steel turns red long before white, and is never blue.
    """
    place = batch.spot.reshape(-1, 8, 8) * 2 > (window.SIZE // 8) ** 2  # cells that glow for the most part
    held = np.flatnonzero(place.any(axis=(1, 2)))
    if not len(held):
        return 0
    cell = window.SIZE // 8
    colour = batch.frames[held].reshape(-1, 8, cell, 8, cell, 3).mean(axis=(2, 4))   # (n,8,8,3)
    weight = place[held][..., None]
    colour = (colour * weight).sum(axis=(1, 2)) / weight.sum(axis=(1, 2))              # (n,3)
    share = float(np.mean(colour[:, 2] > colour[:, 0]))
    return share if share > 0.5 else 0


def _twice(folder, splits):
    """Faults of batches in two splits, which would be tested on their training data."""
    seen = {}
    for split, names in splits.items():
        for name in names:
            if seen.setdefault(name, split) != split:
                yield f"{folder}: {name} is assigned to {seen[name]} and to {split}; remove it from one of {seen[name]}.json and {split}.json"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of a data set in layout V1 or V2")
    parser.add_argument("--normal", action="store_true", help="the folder is the set of normal hours")
    parser.add_argument("--sheet", help="picture file for frames of each batch; default contact-sheet.png in the folder, '' for none")
    args = parser.parse_args(argv)
    path = pathlib.Path(args.data) / "contact-sheet.png" if args.sheet is None else args.sheet
    sheet = contact_sheet.Sheet() if path else None
    faults = check(args.data, args.normal, sheet=sheet)
    if sheet is not None and sheet.rows:
        try:
            sheet.save(path)
            print(f"{path}: frames as the model sees them; check that the shell glows red, stands upright and fills the picture")
        except OSError as err:
            print(f"{path}: cannot be written ({err}); name another file with --sheet")
    for fault in faults:
        print(f"fault: {fault}")
    print(f"{len(faults)} faults" if faults else "no fault found")
    return 1 if faults else 0

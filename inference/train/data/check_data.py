"""Says what a data set holds, batch by batch, and every fault with its file and remedy.

    python -m inference.train.check_data --data data/own
    python -m inference.train.check_data --data data/own-normal --normal

Frames as the model will see them go to contact-sheet.png in that folder (--sheet FILE, or
--sheet '' for none): a person sees at once that colours are in another order, axes are
swapped, or the crop shows something else.

--normal is for the set of normal hours that judge.py takes: nobody trains on it, and it
may hold no abnormal second. Exit code 1 if there is a fault: then training would fail, or learn something else
than was meant.
"""

import argparse
import pathlib

import numpy as np

from . import contact_sheet, layout, window

WHOLE = 120 + window.FRAMES  # seconds that the first whole window needs
SPARSE = 0.5  # coverage under which a sense is hardly there
LEAST_AMPS, MOST_AMPS = 500, 100e3  # of a furnace at work: median of what was read


DARK = 4  # mean level under which a batch's frames show nothing


def check(folder, normal=False, say=print, sheet=None):
    """Prints a line a batch and returns the faults found; sheet: a contact_sheet.Sheet that gets frames of each batch."""
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
    """One split's batches, read one at a time: a whole set need not fit into memory."""
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
        return [*faults, f"{folder}: no batch is for {split}; name some in {split}.json"]
    if normal and scored[1]:
        faults.append(f"{folder}: {scored[1]} abnormal seconds in {split}; strike the batches that hold them from {split}.json")
    for label, word in ((0, "normal"), (1, "abnormal")):
        # What could not be read may hold it.
        if whole and not scored[label] and not (normal and label):
            faults.append(f"{folder}: no {word} second in {split}; deal its batches so that each split has both")
    return faults


def _line(split, batch):
    label, episodes = batch.label, np.unique(batch.onset[np.isfinite(batch.onset)])
    mask = batch.currents[0].mask
    return (f"{split:6} {batch.name:32} {len(label):8} {np.mean(batch.frame_at >= 0):8.0%} {np.mean(mask):8.0%} "
            f"{np.mean(label == 1):9.0%} {np.mean(label == -1):9.0%} {len(episodes):9} {len(batch.currents) - 1:8}")


def _batch(batch):
    """What is wrong with a batch that could be read."""
    record = batch.currents[0]
    read = record.amps[record.mask > 0]
    if len(batch.label) < WHOLE:
        yield f"lasts {len(batch.label)} s, the first whole window needs {WHOLE}; join it with the next, or strike it"
    if np.mean(batch.frame_at >= 0) < SPARSE:
        yield (f"only {np.mean(batch.frame_at >= 0):.0%} of the seconds have a frame; "
               "check that timestamps/ and labels/ count from the same instant")
    if np.mean(record.mask) < SPARSE:
        yield (f"only {np.mean(record.mask):.0%} of the samples are there at {window.SAMPLE_HZ} a second; "
               "check that currents/ and timestamps/ show the same clock, and sample twice a second")
    shown = batch.frames[np.unique(batch.frame_at[batch.frame_at >= 0])]
    if len(shown) and shown.mean() < DARK:
        yield f"its frames are black (mean level {shown.mean():.1f} of 255); write levels of 0 to 255, and look at the contact sheet"
    if blue := _bluer(batch):
        yield (f"hot spots are bluer than red ({blue:.0%} of the frames that hold one); write colours in the order R G B "
               "(OpenCV reads B G R), and look at the contact sheet")
    if len(read) and not LEAST_AMPS <= np.median(read) <= MOST_AMPS:
        yield f"the median current is {np.median(read):g}; write amperes, not kiloamperes or a meter's raw counts"
    if len(read) and (np.ptp(read, axis=0) == 0).any():
        yield "a phase never moves; take its reading from the meter, not a constant"


def _bluer(batch):
    """The share of frames whose hot spot is bluer than red, where most are; 0 without masks.

    Glowing steel is red long before it is white, and blue never.
    """
    place = batch.spot.reshape(-1, 8, 8) * 2 > (window.SIZE // 8) ** 2  # places that mostly glow
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
    """A batch in two splits would be tested on what it was trained on."""
    seen = {}
    for split, names in splits.items():
        for name in names:
            if seen.setdefault(name, split) != split:
                yield f"{folder}: {name} is for {seen[name]} and for {split}; strike it from one of {seen[name]}.json and {split}.json"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of a data set in layout V1 or V2")
    parser.add_argument("--normal", action="store_true", help="it is the set of normal hours")
    parser.add_argument("--sheet", help="picture to draw frames of each batch to; contact-sheet.png in the folder by default, '' for none")
    args = parser.parse_args(argv)
    path = pathlib.Path(args.data) / "contact-sheet.png" if args.sheet is None else args.sheet
    sheet = contact_sheet.Sheet() if path else None
    faults = check(args.data, args.normal, sheet=sheet)
    if sheet is not None and sheet.rows:
        try:
            sheet.save(path)
            print(f"{path}: frames as the model sees them; look whether the shell glows red, stands upright, and fills the picture")
        except OSError as err:
            print(f"{path}: not written ({err}); name another with --sheet")
    for fault in faults:
        print(f"fault: {fault}")
    print(f"{len(faults)} faults" if faults else "no fault found")
    return 1 if faults else 0

"""Reads the tables of a data set: numbers by column name, times as seconds."""

import csv
import datetime

import numpy as np


def read_columns(path):
    """A table by column name: float64, NaN where a cell is empty or a word.

    Dates with times of day become seconds since 1970, as if the clock showed UTC.
    """
    try:
        file = open(path, newline="")
    except FileNotFoundError:
        raise ValueError(f"{path}: is missing; put it there, or strike its batch from the lists") from None
    with file:
        names = [name.strip() for name in next(csv.reader([file.readline()]), [])]
        if not names:
            raise ValueError(f"{path}: is empty; give it a header and a row for each instant")
        try:
            # Ten times as fast as csv, but every cell must be a number.
            cells = np.loadtxt(file, delimiter=",", ndmin=2).reshape(-1, len(names))
        except ValueError:
            file.seek(0)
            cells = _slow(path, list(csv.reader(file))[1:], len(names))
    return dict(zip(names, cells.T, strict=True))


def _slow(path, rows, columns):
    cells = np.full((len(rows), columns), np.nan)
    for i, row in enumerate(rows):
        if len(row) != columns:
            raise ValueError(f"{path}: row {i + 2} has {len(row)} cells, its header {columns}; mend the row or cut the file before it")
        cells[i] = [_number(cell) for cell in row]
    return cells


def _number(cell):
    try:
        return float(cell)
    except ValueError:
        pass
    try:
        when = datetime.datetime.fromisoformat(cell.strip())
    except ValueError:
        return np.nan
    return when.replace(tzinfo=datetime.timezone.utc).timestamp()


def read_times(path, columns):
    """The first column as ascending seconds; rows that share a stamp are spread over it.

    The published sets stamp to the second, two samples or some 25 frames each.
    """
    times = next(iter(columns.values()))
    bad = np.flatnonzero(~np.isfinite(times))
    if len(bad):
        raise ValueError(f"{path}: row {bad[0] + 2} has no time; write seconds or YYYY-MM-DD HH:MM:SS")
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        raise ValueError(f"{path}: time goes back in row {back[0] + 3}; sort the rows, or cut the record in two there")
    return spread(times)


def spread(times):
    """Rows of one stamp laid evenly over the second that it names.

    A record may begin in the midst of a second: the rows of the first stamp then are
    the last ones of theirs.
    """
    stamps, first, count = np.unique(times, return_index=True, return_counts=True)
    if len(stamps) == len(times):
        return times
    usual = np.maximum(count, int(np.median(count)))
    place = np.arange(len(times)) - np.repeat(first, count)
    place = place + np.where(np.repeat(first, count) == 0, usual[0] - count[0], 0)
    return times + place / np.repeat(usual, count)

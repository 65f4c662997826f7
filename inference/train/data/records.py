"""A melt's record on the grid of seconds, which every layout is read into.

Times are seconds from the record's start. Samples and frames are placed
on the grid of their own schedule, and gaps stay gaps.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import window

PLACES = 8  # along one side of a frame, in Batch.spot
CHUNK = 64  # frames scaled at once
APART = 120  # an episode ends after so many seconds without an abnormal one


@dataclass
class Current:
    """One record of current on its 2 Hz grid: G instants."""

    amps: np.ndarray  # (G,3) float32, 0 where masked
    mask: np.ndarray  # (G,) float32
    set_point: np.ndarray  # (G,) float32, 0 where unknown
    last: np.ndarray  # (S,) index of the newest instant at each second, may be −1
    # (S,) whether the current does not show the episode, None where unknown; simulated data only.
    blind: np.ndarray | None = None


@dataclass
class Batch:
    """One melt: S labelled seconds, T frames, one or more records of current."""

    name: str
    frames: np.ndarray  # (T,64,64,3) uint8, rows first; only frames that a second uses
    spot: np.ndarray  # (T,64) uint8, pixels of the hot spot in each of 8 × 8 places
    frame_at: np.ndarray  # (S,) index of the frame of each second, or −1
    currents: list  # of Current; the first was recorded with the video
    label: np.ndarray  # (S,) int8: 1 abnormal, 0 normal, −1 unscored
    onset: np.ndarray  # (S,) seconds, NaN outside an episode
    hidden: np.ndarray | None = None  # (S,) whether the video does not show the episode, as Current.blind


@dataclass
class Video:
    """A video of a layout; frames are read on demand."""

    stamps: np.ndarray  # (T,) seconds, ascending
    frames: Callable  # index (n,) → (n,H,W,3) uint8
    masks: Callable | None  # index (n,) → (n,H,W), not 0 where the hot spot is
    where: str  # the file, for errors


def batch(name, video, tables, label=None, onset=None):
    """Puts a video and its tables of current on the grid.

    Without labels, a second is abnormal if its frame's mask has any pixel, as the
    published sets define it, and unscored if it has no frame. An episode's onset is
    then its first abnormal second, which is later than the true onset.
    """
    derived = label is None
    seconds = int(video.stamps[-1]) + 1 if derived and len(video.stamps) else 0 if derived else len(label)
    at = frame_of_second(video.stamps, seconds)
    used, frame_at = np.unique(at[at >= 0], return_inverse=True)
    frames, spot, any_pixel = scaled(video, used)
    compact = np.full(seconds, -1)
    compact[at >= 0] = frame_at
    if derived:
        label = np.full(seconds, -1, np.int8)
        label[at >= 0] = any_pixel[frame_at]
        onset = onsets(label)
    return Batch(name, frames, spot, compact, [current(t, seconds) for t in tables], label, onset)


def check_levels(frames, where):
    """Rejects frames that do not hold levels from 0 to 255; rounding would turn 0 to 1 into black."""
    low, high = frames.min(), frames.max()
    if frames.dtype != np.uint8 and not (low >= 0 and 1 < high <= 255):
        raise ValueError(f"{where}: frames are {frames.dtype} from {low:g} to {high:g}, expected levels from 0 to 255; "
                         "write uint8: for frames from 0 to 1, (255 * frames).round().astype('uint8')")


def scaled(video, index):
    """The indexed frames and masks at 64×64: (T,64,64,3), (T,64), and whether any pixel glows (T,)."""
    n, size = len(index), window.SIZE
    # At least one row, so that an index is valid without any frame.
    frames = np.zeros((max(n, 1), size, size, 3), np.uint8)
    spot = np.zeros((max(n, 1), PLACES * PLACES), np.uint8)
    glows = np.zeros(max(n, 1), bool)
    for start in range(0, n, CHUNK):
        part = slice(start, min(start + CHUNK, n))
        pictures = video.frames(index[part])
        check_levels(pictures, video.where)
        frames[part] = np.rint(area(pictures, size, video.where))
        if video.masks is None:
            continue
        mask = video.masks(index[part]) > 0                                # (n,H,W)
        glows[part] = mask.any(axis=(1, 2))
        share = area(mask[..., None], PLACES, video.where)[..., 0]         # (n,8,8)
        pixels = np.rint(share * (size // PLACES) ** 2)
        spot[part] = np.minimum(pixels, 255).reshape(len(mask), -1)
    return frames, spot, glows


def area(pictures, size, where):
    """Pictures (n,H,W,C) scaled by the mean over each pixel's area: (n,size,size,C) float32.

    Equals OpenCV's INTER_AREA, which the camera process uses.
    """
    n, height, width, _ = pictures.shape
    if min(height, width) < window.SIZE:
        raise ValueError(f"{where}: frames are {width}×{height} pixels, at least {window.SIZE}×{window.SIZE} are required; "
                         "export the video larger, or widen the crop")
    if height == width == size:
        return pictures.astype(np.float32)
    rows, columns = overlap(height, size), overlap(width, size)
    part = np.tensordot(pictures.astype(np.float32), columns, ([2], [1]))  # (n,H,C,size)
    part = np.tensordot(part, rows, ([1], [1]))                            # (n,C,size,size)
    return part.transpose(0, 3, 2, 1)


def overlap(given, wanted):
    """The share of each source pixel in each target pixel: (wanted,given)."""
    edges = np.arange(wanted + 1) * given / wanted
    pixel = np.arange(given)
    low = np.maximum(edges[:-1, None], pixel)
    high = np.minimum(edges[1:, None], pixel + 1)
    return (np.maximum(high - low, 0) * wanted / given).astype(np.float32)


def onsets(label):
    """The first abnormal second of each second's episode: (S,), NaN outside one."""
    onset, abnormal = np.full(len(label), np.nan), np.flatnonzero(label == 1)
    for episode in np.split(abnormal, np.flatnonzero(np.diff(abnormal) > APART) + 1):
        if len(episode):
            onset[episode[0] : episode[-1] + 1] = episode[0]
    return onset


def phase(stamps, period):
    """The phase of a polling schedule within its period: the circular mean of its stamps.

    0 if the stamps are too dense to have a phase.
    """
    mean = np.mean(np.exp(2j * np.pi / period * np.asarray(stamps)))
    if abs(mean) < 0.1:
        return 0.0
    return float(np.angle(mean) % (2 * np.pi) * period / (2 * np.pi))


def frame_of_second(stamps, seconds):
    if len(stamps) == 0:
        return np.full(seconds, -1)
    period = 1 / window.FRAME_HZ
    start = phase(stamps, period)
    # The newest polling instant at each second.
    grid = start + np.floor((np.arange(seconds) - start) / period + 1e-6) * period
    return window.nearest(stamps, grid, window.FRAME_REACH)


def current(columns, seconds):
    """The columns time, a, b, c and optionally set_point of a table on the 2 Hz grid."""
    time, period = columns["time"], 1 / window.SAMPLE_HZ
    start = phase(time, period) - period if len(time) else -period
    grid = start + period * np.arange(window.SAMPLE_HZ * seconds + 1)
    index = window.nearest(time, grid, window.SAMPLE_REACH)
    amps = np.zeros((len(grid), window.PHASES))
    set_point, there = np.zeros(len(grid)), index >= 0
    amps[there] = np.stack([columns[p] for p in "abc"], axis=1)[index[there]]
    if "set_point" in columns:
        set_point[there] = np.nan_to_num(columns["set_point"][index[there]])
    there &= np.isfinite(amps).all(axis=1)
    return Current(
        amps=np.where(there[:, None], amps, 0).astype(np.float32),
        mask=there.astype(np.float32),
        set_point=np.where(there, set_point, 0).astype(np.float32),
        last=np.floor((np.arange(seconds) - start) / period + 1e-6).astype(int),
    )


def changes_of(record):
    """Mean |ΔI| of the phases at every sample as a share of the set-point, and which values are known: (G,) each."""
    known = np.concatenate([[0], record.mask[1:] * record.mask[:-1]]) * (record.set_point > 0)
    change = np.abs(np.diff(record.amps, axis=0, prepend=record.amps[:1])) / np.maximum(record.set_point, 1)[:, None]
    return change.mean(1), known

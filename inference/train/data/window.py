"""The window: the samples and frames that one decision uses.

Everything ends at t_end. Current sample i lies at t_end − (239 − i)/2 s, video
frame k at t_end − (15 − k) s, and frame k belongs to the samples 208+2k, 209+2k
and min(210+2k, 239): hop 2, window 3, as one video frame takes three audio
frames in AlignVSR. Both senses share one clock and one table of time slots.
"""

import numpy as np

SAMPLE_HZ = 2
SAMPLES = 240  # 120 s of current
PHASES = 3
FRAME_HZ = 1
FRAMES = 16
SIZE = 64  # pixels of a frame's side

PATCH = 8  # current samples in one token
PATCHES = SAMPLES // PATCH  # 30 tokens of 4 s each
SLOT_SECONDS = PATCH / SAMPLE_HZ

FRAME_TOKENS = 4  # of one frame, see tokenizers
TRAIL = 4  # samples, 2 s: over which a change of the current is averaged

# A slot takes the nearest stamp within this many seconds; without one it is masked.
SAMPLE_REACH = 0.25
FRAME_REACH = 0.5


def samples_of_frame(k):
    """The three current samples that frame k of a window belongs to."""
    first = SAMPLES - 2 * FRAMES + 2 * k
    return first, first + 1, min(first + 2, SAMPLES - 1)


def frame_slots():
    """The time slot of every frame, counted like the current's patches: (16,)."""
    return np.array([samples_of_frame(k)[1] // PATCH for k in range(FRAMES)])


def nearest(stamps, grid, reach):
    """The index of the nearest stamp for each instant of the grid, or −1: (len(grid),).

    stamps and grid are ascending, in seconds. A stamp farther away than reach does
    not count, and each stamp serves only the instant nearest to it.
    """
    stamps, grid = np.asarray(stamps, float), np.asarray(grid, float)
    if len(stamps) == 0:
        return np.full(len(grid), -1)
    right = np.clip(np.searchsorted(stamps, grid), 1, max(len(stamps) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(stamps) - 1)
    index = np.where(grid - stamps[left] <= stamps[right] - grid, left, right)
    distance = np.abs(stamps[index] - grid)
    # Where two instants share a stamp, the farther one stays empty.
    order = np.lexsort((distance, index))
    twice = np.zeros(len(grid), bool)
    twice[order[1:]] = index[order[1:]] == index[order[:-1]]
    return np.where((distance <= reach) & ~twice, index, -1)


def current_window(record, second, shift=0):
    """The 120 s that end at a second: amps (240,3), mask (240,), set-point (1,).

    shift: how many samples later the window ends.
    """
    last = record.last[second] + shift
    amps = np.zeros((SAMPLES, PHASES), np.float32)
    mask = np.zeros(SAMPLES, np.float32)
    low = max(last - SAMPLES + 1, 0)
    high = max(min(last + 1, len(record.mask)), low)
    at = slice(SAMPLES - 1 - last + low, SAMPLES - 1 - last + high)
    amps[at], mask[at] = record.amps[low:high], record.mask[low:high]
    seen = np.flatnonzero(record.mask[low:high])
    set_point = record.set_point[low + seen[-1]] if len(seen) else 0
    return amps, mask, np.array([set_point], np.float32)

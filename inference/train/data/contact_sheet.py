"""Draws frames of each batch side by side, as the model sees them, for a person to check."""

import numpy as np

SHOWN = 8  # frames of a batch
MOST = 40  # batches on one sheet


class Sheet:
    """Collects frames, one row for each batch: half of abnormal seconds, half of others, in order of time."""

    def __init__(self):
        self.rows = []  # (name, seconds, labels, frames)

    def add(self, batch):
        seconds = np.flatnonzero(batch.frame_at >= 0)
        if len(self.rows) == MOST or not len(seconds):
            return
        halves = [s[np.linspace(0, len(s) - 1, min(SHOWN // 2, len(s))).astype(int)]
                  for s in (seconds[batch.label[seconds] != 1], seconds[batch.label[seconds] == 1]) if len(s)]
        chosen = np.sort(np.concatenate(halves))
        self.rows.append((batch.name, chosen, batch.label[chosen], batch.frames[batch.frame_at[chosen]]))

    def save(self, path):
        """Writes a PNG file. Raises OSError if it cannot."""
        import matplotlib  # slow to import

        matplotlib.use("Agg")
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(len(self.rows), SHOWN, squeeze=False, figsize=(1.3 * SHOWN, 1.5 * len(self.rows)), layout="constrained")
        for line, (name, seconds, labels, frames) in zip(axes, self.rows, strict=True):
            for axis in line:
                axis.set_axis_off()
            for axis, second, label, frame in zip(line, seconds, labels, frames, strict=False):
                axis.imshow(frame, interpolation="nearest", vmin=0, vmax=255)
                axis.set_title(f"{second} s {WORDS[int(label)]}", fontsize=6, color="red" if label == 1 else "black")
            line[0].text(0, -14, name, fontsize=7, fontweight="bold")
        figure.savefig(path, dpi=120, format="png")
        pyplot.close(figure)


WORDS = {1: "abnormal", 0: "normal", -1: "unscored"}

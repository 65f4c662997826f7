"""The losses of a run in training: training.csv, tensorboard/ and training.png in its folder."""

import csv
import os
import pathlib

import keras

FIELDS = ("step", "phase", "loss", "val_loss", "seconds")


class History:
    """One row a checkpoint. Rows after the step from which training goes on are dropped."""

    def __init__(self, folder, step=0):
        self.path, self._board = pathlib.Path(folder) / "training.csv", None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = []
        if step and self.path.exists():
            with self.path.open(newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        self._write()

    def _write(self):
        part = self.path.with_suffix(".part")
        with part.open("w", newline="") as file:
            out = csv.DictWriter(file, FIELDS, lineterminator="\n")
            out.writeheader()
            out.writerows(self.rows)
        os.replace(part, self.path)

    def add(self, model, step, phase, loss, val_loss, seconds):
        """Adds a row; val_loss is None where no batch validates."""
        validated = val_loss is not None
        self.rows.append({"step": step, "phase": phase, "loss": f"{loss:.6g}",
                          "val_loss": f"{val_loss:.6g}" if validated else "", "seconds": f"{seconds:.1f}"})
        self._write()
        if self._board is None:
            self._board = keras.callbacks.TensorBoard(str(self.path.parent / "tensorboard"), write_graph=False)
            self._board.set_model(model)
            self._board.on_train_begin()
        self._board.on_epoch_end(step, {"loss": loss} | ({"val_loss": val_loss} if validated else {}))

    def close(self):
        """Ends the files and draws training.png."""
        if self._board:
            self._board.on_train_end()
        self.plot()

    def plot(self):
        # Only now, because it takes a second.
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        for name in ("loss", "val_loss"):
            points = [(int(r["step"]), float(r[name])) for r in self.rows if r[name]]
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", label={"loss": "training", "val_loss": "validation"}[name])
        axes.set(xlabel="step", ylabel="loss")
        axes.legend()
        figure.savefig(self.path.with_suffix(".png"))

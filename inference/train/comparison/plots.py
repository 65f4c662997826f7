"""The plots of docs/comparison.md, from the same figures as the page (comparison_page.py)."""

import pathlib

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "meltwatch"  # makes the files reproducible

import numpy as np  # noqa: E402
from matplotlib import pyplot as plt  # noqa: E402

MAIN = ("1", "2", "3", "4", "7", "8", "9f", "10")  # rows that the plots show


def draw(rows, cost, folder):
    """Draws all plots into a folder."""
    folder = pathlib.Path(folder)
    shown = {n: r for n, r in rows.items() if r[0]["row"] in MAIN and "roc" in r[0]}
    with figure(folder / "roc.svg", "FDR (false positive rate)", "detected") as ax:
        for results in shown.values():
            line = np.array(results[0]["roc"])
            ax.plot(line[:, 0], line[:, 1], label=label(results))
        ax.set(xscale="log", xlim=(5e-4, 0.3), ylim=(0.85, 1))
    with figure(folder / "delay.svg", "false alarms an hour", "median delay from onset, s") as ax:
        for results in shown.values():
            draw_delays(ax, results[0]["delays"]["curve"], label(results))
    if "product" in rows:
        with figure(folder / "filter.svg", "false alarms an hour", "median delay from onset, s") as ax:
            for length, curve in rows["product"][0]["filters"].items():
                draw_delays(ax, curve, f"mean over {length} s")
    if cost:
        with figure(folder / "size.svg", "p50 of one window, ms", "accuracy") as ax:
            for name, results in rows.items():
                if name in cost:
                    mine = name.startswith("product")
                    ax.plot(cost[name]["p50"], np.mean([r["figures"]["both_accuracy"] for r in results]), "s" if mine else ".",
                            label=f"{label(results)}, {cost[name]['parameters'] / 1000:.0f} k")
    with figure(folder / "robustness.svg", "current taken later, s", "accuracy") as ax:
        for results in shown.values():
            points = {n: v for n, v in results[0]["conditions"].items() if n.startswith("offset")}
            ax.plot([int(n.split()[1]) for n in points], list(points.values()), marker=".", label=label(results))
    local = [r for r in rows.values() if r[0].get("offset") and r[0]["row"] in MAIN]
    if local:
        with figure(folder / "offset.svg", "shift of the current, s", "local loss") as ax:
            for results in local:
                o = results[0]["offset"]
                for injected, style in (("0", "-"), ("2", "--")):
                    ax.plot(o["shifts"], o["curves"][injected], style,
                            label=f"{label(results)}, offset {injected} s")
    if rows.get("product", [{}])[0].get("example"):
        draw_example(folder / "example.svg", rows["product"][0]["example"])
    routed = [r for r in rows.values() if r[0].get("router")]
    if routed:
        with figure(folder / "router.svg", "expert", "mean load") as ax:
            for results in routed:
                loads = results[0]["router"]["router_video"]
                ax.plot(range(1, len(loads) + 1), loads, marker="o", label=f"{results[0]['row']} video")
            ax.set(ylim=(0, 1))


def draw_delays(ax, curve, name):
    points = [(alarms, median) for _, alarms, median, _, _ in curve if median is not None]
    ax.plot(*zip(*points, strict=True), marker=".", label=name)
    ax.set_xscale("symlog", linthresh=0.02)


def draw_example(path, example):
    """Frame weights and p against seconds from the onset; attention of frames over codes of the current."""
    drawn, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    seconds = example["seconds"]
    left.imshow(np.array(example["frame_weight"]).T, aspect="auto", cmap="Greys",
                extent=(seconds[0], seconds[-1], 0.5, -15.5))
    left.set(xlabel="seconds from the onset", ylabel="frame, seconds before the newest")
    over = left.twinx()
    over.plot(seconds, example["p"], color="tab:red")
    over.set(ylim=(0, 1), ylabel="p(abnormal), red")
    right.imshow(example["attention"], aspect="auto", cmap="Greys", extent=(0.5, 32.5, 0.5, -15.5))
    frames, units = np.nonzero(example["share"])
    right.plot(units + 1, frames - 15, "o", color="tab:red", fillstyle="none", markersize=5)
    right.set(xlabel="unit of current", title=f"{example['window']} s from the onset")
    drawn.savefig(path, metadata={"Date": None})
    plt.close(drawn)


def label(results):
    return f"{results[0]['row']} {results[0]['title']}"


class figure:
    """A plot with labelled axes, written as SVG on exit."""

    def __init__(self, path, x, y):
        self.path, self.x, self.y = path, x, y

    def __enter__(self):
        self.figure, self.axes = plt.subplots(figsize=(7, 4), layout="constrained")
        self.axes.set(xlabel=self.x, ylabel=self.y)
        self.axes.grid(alpha=0.3)
        return self.axes

    def __exit__(self, failed, *_):
        if not failed:
            self.axes.legend(fontsize=7)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.figure.savefig(self.path, metadata={"Date": None})
        plt.close(self.figure)

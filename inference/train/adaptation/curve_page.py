"""docs/adapting.md, from the figures that curve.py keeps."""

from ..comparison.transfer import shown
from .thresholds import MOST_DOWN, MOST_UP

COLUMNS = {
    "accuracy": "both_accuracy", "AUROC": "both_auroc", "current alone": "current_accuracy", "video alone": "video_accuracy",
    "missed": "onsets_missed", "onsets": "onsets", "delay, median s": "delay_median_seconds", "false alarms between onsets": "mixed_false_alarms", "in h": "mixed_normal_hours",
    "in normal hours": "false_alarms", "h": "normal_hours"}
TRIED = "tried"  # what else was tried: how → figures
CEILING = "ceiling"  # the name under which a network that has learnt the furnace is kept


def page(known):
    """The whole page; known: name → {pair, cells}."""
    return "\n\n".join([*head(), *(block for name, of in known.items() if not of.get(CEILING) for block in curve(name, of, known)), *tail()]) + "\n"


def head():
    yield "# Adapting to a plant, measured"
    yield ("Written by `python -m inference.train.adaptation_curve`. How to adapt: [own-data.md](own-data.md#adapt-the-shipped-model). "
           "Each network here has not seen the family of picture and of current that it is adapted to. Normal hours, labelled melts and the melts "
           "that judge have different seeds; no melt that judges was adapted to.")
    yield ("Accuracy is balanced, at p 0.5. Onsets, delays and false alarms are at the thresholds that the adapted model has. Only normal hours: "
           f"thresholds move by −{MOST_DOWN:g} to +{MOST_UP:g} in the logit. With episodes: the whole network is trained further, "
           "with replay of furnaces that it has seen. Cells that are missing have not been measured.")


def curve(name, of, known):
    cells = of["cells"]
    yield f"## {name}: {' and '.join(of['pair'])}"
    head = [["normal hours", "episodes", *COLUMNS, "at home: accuracy", "missed"], ["---"] * (len(COLUMNS) + 4)]
    lines = head + [row(*at.split("/"), cells[at]) for at in sorted(cells, key=order)]
    ceiling = next((k["cells"]["0/0"] for k in known.values() if k.get(CEILING) and k["pair"] == of["pair"] and "0/0" in k["cells"]), None)
    if ceiling:
        lines.append(row("ceiling", "", ceiling))
    yield table(lines)
    yield from closed(cells, ceiling)
    if of.get(TRIED):
        yield "Tried in other ways, on the same melts:"
        yield table([["tried", "", *head[0][2:]], *head[1:], *(row(how, "", found) for how, found in of[TRIED].items())])


def table(lines):
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def order(at):
    """By episodes, then by hours."""
    return [int(n) for n in at.split("/")][::-1]


def row(hours, episodes, found):
    there, home = found["there"], found["home"]
    return [hours, episodes, *(shown(there.get(k)) for k in COLUMNS.values()), shown(home["both_accuracy"]), shown(home["onsets_missed"])]


def closed(cells, ceiling):
    """How much of the gap to the ceiling each cell closes, and what it costs at home."""
    start = cells.get("0/0")
    if not start:
        return
    value = lambda found, place="there": found[place]["both_accuracy"]
    told = []
    for at, found in sorted(cells.items(), key=lambda cell: order(cell[0])):
        if found is start:
            continue
        gap = f", {100 * (value(found) - value(start)) / (value(ceiling) - value(start)):.0f} % of the gap to the ceiling" if ceiling and value(ceiling) > value(start) else ""
        hours, episodes = at.split("/")
        told.append(f"- {hours} h and {episodes} episodes: {100 * (value(found) - value(start)):+.1f} points{gap}; at home {100 * (value(found, 'home') - value(start, 'home')):+.1f} points")
    yield "Against the model as shipped:\n\n" + "\n".join(told)


def tail():
    yield ("The ceiling is a network that other melts of the family were trained on. That of release 0.3.1 is of another recipe, with its own "
           "thresholds, so part of the gap is not one that adapting could close. That of release 0.4.4 is the same network, fine-tuned further by "
           "its own recipe with the family among its melts, and has the thresholds of 0.4.4 (docs/transfer-earlier.md).")

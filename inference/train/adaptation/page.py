"""The page beside an adapted model: what changed, and what it was judged on."""

import pathlib

from .outcome import EVENTS, SECONDS
from .thresholds import LEAST_RULE, MOST_DOWN, MOST_UP

ALARMS = 20  # told at most
TITLES = {
    "both_accuracy": "accuracy of both senses, balanced, at p 0.5", "both_fdr": "normal seconds called abnormal", "both_mdr": "abnormal seconds called normal",
    "both_auroc": "AUROC", "current_accuracy": "accuracy of the current alone", "video_accuracy": "accuracy of the video alone",
    "onsets": "onsets", "onsets_missed": "missed", "delay_median_seconds": "delay, median s", "mixed_false_alarms": "false alarms between onsets",
    "mixed_normal_hours": "in hours", "chosen_false_alarms": "false alarms in the hours that thresholds were chosen on", "false_alarms": "false alarms", "false_suspicions": "false suspicions", "normal_hours": "normal hours",
    "called_abnormal": "seconds called abnormal, at p 0.5"}


def write(request, of, found, worse, manifest, package, seconds):
    """Writes OUT.md."""
    path = pathlib.Path(f"{request.out}.md")
    path.write_text("\n\n".join(told(request, of, found, worse, manifest, package, seconds)) + "\n", encoding="utf-8")


def told(request, of, found, worse, manifest, package, seconds):
    yield f"# {manifest['name']} {manifest['version']}, adapted from {of.called}"
    yield (f"Written by `python -m inference.train.adapt` in {seconds / 60:.0f} min, from {found.hours:.1f} h of normal work"
           + (f" and {found.episodes} labelled episodes" if request.labelled else "")
           + (f", with replay of {', '.join(map(str, request.replay))}" if request.replay else "") + f". Seed {request.training.seed}.")
    if worse:
        yield f"**Warning:** written by --force although it is worse than the shipped model: {worse}."
    yield "## What changed"
    yield changed(of, found)
    if found.steps and "familiarity" in of.manifest:
        yield "The network tells no familiarity any more: what it is like belongs to the shipped weights."
    if found.claims:
        yield ("Over normal seconds the mean of exp(logit) should be 1, its log 0. With the shipped model the logs are "
               + ", ".join(f"{reading} {e:+.2f}" for reading, e in found.claims.items()) + ". Far above 0, a sense calls too much abnormal here.")
    yield "## What it was judged on"
    yield from judgements(found)
    if found.alarms:
        yield "## Alarms of the shipped model in the normal hours"
        yield "Each is either a false alarm or an abnormal melt that should not be among these hours. Look at them, the longest first."
        yield "\n".join(f"- {a}" for a in found.alarms[:ALARMS]) + (f"\n- and {len(found.alarms) - ALARMS} more" if len(found.alarms) > ALARMS else "")
    yield "## Next"
    yield (f"`meltctl model push SITE/FURNACE {package} --shadow 1h` rolls the signed package out." if package else
           f"`meltwatch model pack {request.out} FILE` and `meltwatch model sign` make the package for `meltctl model push`.")


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(shown, line)) + " |" for line in lines)


def shown(value):
    return value if isinstance(value, str) else "–" if value is None else f"{value:.4g}"


def changed(of, found):
    """A table of every number that adapting may change."""
    thresholds = f"between −{MOST_DOWN:g} and +{MOST_UP:g} in the logit"
    rows = [("`decision.enter`", of.decision.enter, found.decision.enter, thresholds), ("`decision.exit`", of.decision.exit, found.decision.exit, "in proportion")]
    if of.suspect:
        rows += [("`decision.suspect.enter`", of.suspect.enter, found.suspect.enter, thresholds),
                 ("`decision.suspect.exit`", of.suspect.exit, found.suspect.exit, "in proportion")]
    rows += [(f"`rule.{k}`", v, found.rule[k], f"from {LEAST_RULE:g} of it to the same") for k, v in of.rule.items()]
    rows += [("steps of training on labelled batches", 0, found.steps or 0, "held near the shipped weights")]
    return table(("", "shipped", "adapted", "bound"), rows)


def judgements(found):
    if found.before:
        yield (f"Labelled batches held out of the training: the adapted column is a network that was trained in the same way without them. "
               "The network in this folder has seen them too.")
        yield table(("", "shipped", "adapted"), [(TITLES[k], found.before.get(k), found.after.get(k)) for k in SECONDS + EVENTS])
    elif found.steps is not None:
        yield "**Not judged on an episode:** fewer than three labelled batches have one, so all were trained on. Watch it in shadow for longer."
    else:
        yield "No labelled batch was given, so how abnormal melts are seen has not been judged."
    if found.hours_before:
        yield "Normal hours that nothing was chosen on:"
        yield table(("", "shipped", "adapted"), [(TITLES[k], v, found.hours_after.get(k)) for k, v in found.hours_before.items()])
    else:
        yield "No normal hours were left to report on: name batches in test.json of the normal hours."

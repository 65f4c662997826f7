"""Makes a plant's own model out of the shipped one (commands/adapt.py)."""

import time
from dataclasses import dataclass, field

from ..data import layout
from ..training.fit import stopwatch
from . import calibration, further, material, outcome, package, page, scoring, shipped, student, thresholds


@dataclass(frozen=True)
class Request:
    """What commands/adapt.py asks for."""

    model: str
    out: str
    normal: tuple = ()
    labelled: tuple = ()
    replay: tuple = ()
    config: str | None = None
    every: int = 3
    training: student.Training = student.Training()
    confirmed: bool = False  # whether a person has looked at the alarms in the normal hours
    force: bool = False
    key: str | None = None
    key_name: str | None = None
    name: str | None = None
    version: str | None = None


@dataclass
class Adapted:
    """An adapted network with its thresholds, and what is known of both; the page tells it."""

    model: object
    decision: object
    suspect: object  # None without an early warning
    rule: dict
    claims: dict = field(default_factory=dict)  # of the shipped model over these hours, see calibration.py
    hours: float = 0.0  # of normal work, chosen or trained on
    alarms: list = field(default_factory=list)  # of the shipped model in these hours
    steps: int | None = None  # of training on labelled batches
    episodes: int = 0
    before: dict | None = None  # figures of held-out labelled batches with the shipped model
    after: dict | None = None
    hours_before: dict | None = None  # the same of normal hours that nothing was chosen on
    hours_after: dict | None = None


def adapt(request, log=None):
    """Writes the adapted model folder with its page, and its signed package where a key is named; returns the manifest."""
    log, start = log or stopwatch(), time.monotonic()
    package.check_paths(request.model, request.out, request.key, request.key_name)
    given = material.gathered(request.normal, request.labelled, request.replay)
    shipped.manifest_of(request.model)
    log("recovering the shipped network")
    of = shipped.opened(request.model, request.config)
    found = adapted(of, given, request, log)
    worse = outcome.worse(found.before, found.after) if found.before else ""
    if worse and not request.force:
        raise ValueError(f"the adapted model is worse than the shipped one: {worse}; nothing was written. Label more episodes, or give --force")
    log("writing the model folder")
    called = package.sections(of.manifest, found.decision, found.suspect, found.rule, figures(of, found), request.name, request.version)
    # Golden vectors are of the plant's own pictures and current.
    golden = layout.read_batch(*(given.chosen + given.labelled)[0], rerolls=False)
    manifest = package.write(found.model, called, golden, request.out)
    signed = package.signed(request.out, request.key, request.key_name) if request.key else None
    page.write(request, of, found, worse, manifest, signed, time.monotonic() - start)
    return manifest


def figures(of, found):
    """The manifest's figures: of own data that nothing was chosen on, and two of the network itself."""
    kept = {k: v for k, v in of.manifest.get("metrics", {}).items() if k in ("parameters", "offset_bias_s")}
    return kept | {"adapted_normal_hours": round(found.hours, 2), "adapted_episodes": found.episodes} | (found.after or {}) | (found.hours_after or {})


def adapted(of, given, request, log=print):
    """The Adapted of a Shipped and a Material."""
    score = lambda model, sources, what, decision=of.decision, check=None: scoring.score(model, sources, decision, request.every, log, what, check)
    found = Adapted(of.model, of.decision, of.suspect, dict(of.rule))
    hours = score(of.model, given.chosen, "normal batches, with the shipped model", check=material.check_normal) if given.chosen else []
    if hours:
        material.check_enough(hours)
        found.hours, found.alarms, found.claims = scoring.hours(hours), scoring.alarms(hours, of.decision), calibration.claims(hours)
        refuse_abnormal(found.alarms, request.confirmed)
    held = ([], [])
    if given.labelled:
        taught = further.taught(of, given, hours, request.training, score, log)
        found.model, found.steps, found.episodes = taught.model, taught.steps, taught.episodes
        held = (taught.before, taught.after)
        before = [s for s in hours if (s.folder, s.batch.name) in taught.hours]
        hours = score(found.model, taught.hours, "normal batches, with the adapted model") if found.steps and hours else before
    if hours:
        choose_thresholds(of, found, hours)
    if held[0]:
        alarms = lambda scored, decision: {"chosen_false_alarms": outcome.of_hours(scored, decision)["false_alarms"]} if scored else {}
        found.before = outcome.of_labelled(held[0], of.decision, of.suspect) | alarms(before, of.decision)
        found.after = outcome.of_labelled(held[1], found.decision, found.suspect) | alarms(hours, found.decision)
    if given.reported:
        report(of, found, given.reported, score)
    return found


def refuse_abnormal(alarms, confirmed):
    """Raises ValueError if the hours seem to hold an abnormal melt and nobody has looked."""
    lasting = [a for a in alarms if a.lasting]
    if lasting and not confirmed:
        told = "; ".join(map(str, lasting[:3])) + (f" and {len(lasting) - 3} more" if len(lasting) > 3 else "")
        raise ValueError(f"the normal hours look abnormal ({told}); take these batches out of val.json and test.json, or look at them and give --confirmed-normal")


def choose_thresholds(of, found, hours):
    predicted = [s.predictions for s in hours]
    found.decision = thresholds.alarm(of.decision, predicted)
    found.suspect = thresholds.suspect(of.suspect, predicted) if of.suspect else None
    found.rule = found.rule | thresholds.levels(of.rule, [s.batch for s in hours], predicted)


def report(of, found, sources, score):
    """Both models on normal hours that nothing was chosen on."""
    what = "normal batches that nothing was chosen on"
    found.hours_before = outcome.of_hours(score(of.model, sources, what, check=material.check_normal), of.decision, of.suspect)
    found.hours_after = outcome.of_hours(score(found.model, sources, what, found.decision), found.decision, found.suspect)

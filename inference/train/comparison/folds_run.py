"""Trains and scores the rows on a fold, run by run; a run that is done is not done again.

A run's weights and checkpoints are in RUNS/FOLD/TOKENIZERS/ROW-SEED, its figures in
RESULTS/FOLD-TOKENIZERS-ROW-SEED.json with the settings that they depend on. Figures, weights
and tokens of other settings are refused.
"""

import dataclasses
import functools
import json
import os
import pathlib
import shutil
import time

from ..data import cache, layout
from ..data.sampler import PixelWindows
from ..evaluation import batched, clock_offset, metrics, operating_point
from ..models.closed_loop import Runner
from ..training import encode
from ..training.checkpoint import DATA, WEIGHTS, Unfinished, configured, finished, load, refuse_others, save
from ..training.fit import Course, fit_jointly, fit_on_tokens, fit_unimodal
from . import compare, folds, folds_data, workers

VERSION = 1  # increased when code changes the figures, so that runs are repeated
OFFSET_BATCHES = 12  # of validation and of the scored melts, on which the clock offset is sought
LABELS = ("name", "row", "title", "variant", "seed")  # settings that a figure does not depend on, or that its file's name tells
# Of metrics.events, what melts alone tell; the left-out pair has no normal hours.
EVENTS = ("onsets", "onsets_missed", "delay_median_seconds", "delay_p95_seconds", "mixed_false_alarms", "mixed_normal_hours")


@dataclasses.dataclass
class Study:
    """One fold: its data, its unimodal network and tokens, and where runs and figures go."""

    sources: folds_data.Sources
    senses: pathlib.Path
    tokens: pathlib.Path  # of the training batches
    runs: pathlib.Path
    results: pathlib.Path
    steps: dict = dataclasses.field(default_factory=dict)  # tokenizers → steps, in place of folds.STEPS
    other: dict = dataclasses.field(default_factory=dict)  # settings in place of every row's own
    log: object = print

    def config(self, job):
        return dataclasses.replace(folds.config_of(job.row, job.tokenizers, job.seed, self.steps.get(job.tokenizers)), **self.other)

    def settings(self, job):
        """What a run's figures depend on."""
        config = {} if job.row in folds.UNTRAINED else dataclasses.asdict(self.config(job))
        return {k: v for k, v in config.items() if k not in LABELS} | {
            "comparison": VERSION, "unimodal": self.weights, "data": self.identities,
            "seconds_between_verdicts": [compare.EVERY_MIXED, compare.EVERY_ALONE, compare.EVERY_NORMAL]}

    @functools.cached_property
    def identities(self):
        return self.sources.identities()

    @functools.cached_property
    def weights(self):
        """A digest of the unimodal network, whose codebook every run has too."""
        return encode.weights_of(self.senses)

    def check(self):
        """Raises ValueError for data or a unimodal network that the fold may not use."""
        self.sources.check()
        if not (self.senses / WEIGHTS).exists():
            raise ValueError(f"{self.senses}: has no trained network; train it on the fold's data: python -m inference.train.train "
                             f"--config senses-transfer --data {self.sources.train} --run {self.senses}")
        kept = self.senses / DATA
        if kept.exists():
            refuse_others(self.senses, json.loads(kept.read_text()), {"data": self.identities["train"]})

    @property
    def trained_on(self):
        """What a run's weights depend on, besides its settings."""
        return f"{self.identities['train']} {self.weights}"

    def windows(self, job):
        """How many windows a run is trained on, or None."""
        if job.row == folds.RULE:
            return None
        config = configured(self.senses) if job.row == folds.UNIMODAL else self.config(job)
        return config.steps * config.windows

    def folder(self, job):
        return self.runs / job.fold / job.tokenizers / f"{job.row}-{job.seed}"

    def path(self, job):
        return self.results / f"{job.name}.json"

    def load(self, job):
        """The figures of an earlier run, or None; ValueError if they are of other settings."""
        path = self.path(job)
        if not path.exists():
            return None
        kept = read(path)
        refuse_others(path, kept["settings"], self.settings(job))
        return kept

    def write(self, job, result):
        """Writes figures whole or not at all."""
        path, (number, title) = self.path(job), folds.head_of(job.row)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(dataclasses.asdict(job) | {"number": number, "title": title, "windows": self.windows(job)} | result | {"settings": self.settings(job)}) + "\n")
        os.replace(part, path)

    # Data, read once.

    @functools.cached_property
    def train_tokens(self):
        train = self.sources.train
        encode.claim(self.tokens, self.senses, train)
        if not all(cache.has(self.tokens, n) for n in self.sources.names["train"]):
            self.log("encoding the training batches")
            encode.write_all(load(self.senses), train, self.tokens, ["train"], self.log)
        return cache.read(self.tokens, train, "train")

    @functools.cached_property
    def shared(self):
        """The parts that choose and score, with the fold's shared tokens."""
        return self.parts(lambda: load(self.senses), self.senses, self.runs / self.sources.fold.name / "tokens")

    @functools.cached_property
    def pixels(self):
        """The training batches with their frames, and by normalisation the tracks of their backgrounds."""
        return layout.read_split(self.sources.train, "train", log=self.log), {}

    def parts(self, model, run, out):
        """The parts that choose and score, encoded where they are missing. model: gives the network that is in the folder `run`."""
        found, network = {}, None
        for part in self.sources.PARTS:
            names, folder = self.sources.names[part], out / part
            encode.claim(folder, run, self.sources.folder(part), self.identities[part])
            if not all(cache.has(folder, n) for n in names):
                self.log(f"encoding {len(names)} batches: {part}")
                network = network or model()
                encode.write_names(network, self.sources.folder(part), names, folder, log=self.log)
            found[part] = cache.read_names(folder, names, rerolls=False)
        return found


def read(path):
    """The figures in a file."""
    try:
        kept = json.loads(path.read_text())
        kept["settings"], kept["figures"]
    except (json.JSONDecodeError, KeyError, TypeError) as e:
        raise ValueError(f"{path}: is not a run's result; remove it, and it is run again") from e
    return kept


def trained(study, job):
    """The network of a run: trained, or as an earlier call left it."""
    config, folder, of = study.config(job), study.folder(job), study.trained_on
    if finished(folder, config, of):
        return load(folder)
    course = Course(study.log, Unfinished(folder, config, of))
    if job.tokenizers == folds.SHARED:
        model = fit_on_tokens(config, study.train_tokens, study.senses, study.log, course)
    else:
        model = from_pixels(study, config, course)
    save(model, folder, of)
    course.unfinished.remove()
    return model


def from_pixels(study, config, course):
    """A network trained together with its tokenizers."""
    batches, known = study.pixels
    lags = cache.lags(study.sources.train)
    if config.normalisation not in known:
        study.log("following the backgrounds of the training batches")
        known[config.normalisation] = PixelWindows(batches, config, 1, 0, lags).tracks
    more = {"lags": lags, "log": study.log, "course": course, "tracks": known[config.normalisation]}
    if config.system == "SensesApart":
        return fit_unimodal(config, batches, **more)
    return fit_jointly(config, batches, study.senses, **more)


def run(study, job):
    """Trains and scores a job and writes its figures; returns them."""
    start, before = time.monotonic(), time.process_time()
    own = study.folder(job) / "tokens"
    if job.row == folds.RULE:
        found = {"figures": compare.reference(as_data(study.shared))["figures"]}
    elif job.row == folds.UNIMODAL:
        found = assess(load(study.senses), study.shared)
    else:
        model = trained(study, job)
        found = assess(model, study.shared if job.tokenizers == folds.SHARED else study.parts(lambda: model, study.folder(job), own))
    # Of a run that was interrupted, what its last call took.
    study.write(job, found | {"seconds": round(time.monotonic() - start, 1), "cpu_seconds": round(time.process_time() - before, 1)})
    shutil.rmtree(own, ignore_errors=True)  # a hundred megabytes that nothing reads again
    return found


def assess(model, parts):
    """The figures of a network on the left-out pair, with thresholds from validation melts and normal hours of the families that it has seen."""
    step = Runner(model).step
    mixed = {k: batched.predict(step, parts[part], compare.EVERY_MIXED, compare.EVERY_ALONE) for k, part in (("val", "val"), ("test", "scored"))}
    own, elsewhere = (batched.predict(step, parts[k], compare.EVERY_NORMAL) for k in ("own", "elsewhere"))
    chosen = operating_point.choose(mixed["val"], own, elsewhere)
    events = metrics.events(mixed["test"], [], chosen)
    figures = compare.seconds(as_data(parts), mixed) | {k: events[k] for k in EVENTS if k in events} | {"parameters": model.count_params()}
    if hasattr(model, "local_losses"):
        within = clock_offset.found_offsets(model, parts["val"][:OFFSET_BATCHES], parts["scored"][:OFFSET_BATCHES])["within_1_s"]
        figures |= {f"offset_within_1_s_of_{pool}_s": sum(shares.values()) / len(shares) for pool, shares in within.items() if shares}
    return {"figures": metrics.rounded(figures), "decision": vars(chosen)}


def as_data(parts):
    """The parts as compare.py names them."""
    return compare.Data([], parts["val"], parts["scored"], parts["own"], [])


def go_on(study, jobs, after=lambda: None):
    """Runs the jobs that are left, one after the other; after: called after each. Figures of other settings are refused before any runs."""
    study.check()
    names, minutes = study.sources.names, lambda job: folds.minutes(job, study.steps.get(job.tokenizers))
    study.log(f"{len(names['train'])} melts train; {len(names['val'])} and {len(names['own'] + names['elsewhere'])} normal batches, none of a left-out family, "
              f"choose thresholds; {len(names['scored'])} melts of the left-out pair are scored")
    left = [job for job in jobs if study.load(job) is None]
    expected, done, start = sum(map(minutes, left)), 0.0, time.monotonic()
    study.log(f"{len(left)} of {len(jobs)} runs left, about {expected:.0f} CPU-minutes")
    for number, job in enumerate(left):
        with workers.claimed(study.runs / f"{job.name}.claim") as mine:
            done += minutes(job)
            if not mine or study.load(job) is not None:
                study.log(f"{job.name}: {'done' if mine else 'claimed'} by another process")
                continue
            study.log(f"run {number + 1} of {len(left)}: {job.row}, {job.tokenizers} tokenizers, seed {job.seed}, fold {job.fold}")
            f = run(study, job)["figures"]
        ahead = (time.monotonic() - start) / done * (expected - done) / 60
        study.log(f"{job.name}: accuracy {f['both_accuracy']:.4f}, AUROC {f['both_auroc']:.4f}; {ahead:.0f} minutes left")
        after()


def prepare(study, jobs):
    """How many jobs on shared tokenizers are left; encodes what these read, so that processes can share them."""
    study.check()
    left = [job for job in jobs if study.load(job) is None and job.tokenizers == folds.SHARED]
    if any(job.row in folds.ROWS for job in left):
        study.train_tokens  # noqa: B018
    if left:
        study.shared  # noqa: B018
    return len(left)

"""Makes the model folder of a calibrated run, which the agent loads (commands/release.py)."""

import json
import pathlib
import shutil
import subprocess

import keras
import numpy as np

from ..data import layout, window
from ..data.window import FRAME_TOKENS
from ..evaluation import batched, clock_offset
from ..evaluation.calibrate import RESULT
from ..models import codebook, current_baseline, decision, familiarity
from ..models.tokenizers import GRID
from ..training.checkpoint import load
from . import model_card
from .saved_model import Function, TensorSpec, save

SIZE = window.SIZE
BACKGROUND = (1, SIZE, SIZE, 1)
BELIEVED_BIAS_S = max(codebook.SHIFTS) - 2 * clock_offset.DIP_S  # greatest bias that leaves room for a dip on both sides
BIAS_S = 1.0  # the release warns about a greater bias of the offset
MOST_S = 3.0  # greatest correction of the video's stamps by the agent, within the reach of the shifts
AGENT = pathlib.Path(__file__).parents[3] / "bin" / "meltwatch"


def functions(model):
    """The two signatures, with batch size 1."""
    dim = model.config.dim
    return {
        "encode_frame": Function(model.encode_frame, {
            "frame": TensorSpec("uint8", (1, SIZE, SIZE, 3), "0-255"),
            "background": TensorSpec("float32", BACKGROUND),
        }),
        "step": Function(model.step, {
            "tokens": TensorSpec("float32", (1, window.FRAMES, FRAME_TOKENS, dim)),
            "frame_mask": TensorSpec("float32", (1, window.FRAMES)),
            "current": TensorSpec("float32", (1, window.SAMPLES, window.PHASES), "A"),
            "sample_mask": TensorSpec("float32", (1, window.SAMPLES)),
            "set_point": TensorSpec("float32", (1, 1), "A"),
        } | ({"current_baseline": TensorSpec("float32", (1, current_baseline.SIZE))} if model.config.current_baseline else {})),
    }


def sections(config, result, commit):
    """The manifest's keys that come from the network and its result."""
    return {
        "name": config.name,
        "version": config.version,
        "commit": commit,
        "current": {"rate_hz": window.SAMPLE_HZ, "samples": window.SAMPLES,
                    "phases": window.PHASES, "unit": "A"},
        "video": {
            "rate_hz": window.FRAME_HZ, "frames": window.FRAMES, "width": SIZE, "height": SIZE,
            "channels": "RGB", "resize": "area", "tokens": FRAME_TOKENS, "dim": config.dim,
            "background": list(BACKGROUND), "evidence_rows": GRID, "evidence_columns": GRID,
        },
        # Half the rate was trained on and tested too; docs/transfer.md has the figures.
        "sampling": {"rates_hz": [window.SAMPLE_HZ, window.SAMPLE_HZ / 2][: 2 if config.odd_sampling else 1], "coverage": round(1 - batched.LOST_SAMPLES, 3)},
        "decision": result["decision"] | suspicion(result) | decision.Freezing.of(config).sections(),
        "rule": result["rule"],
        "metrics": result["metrics"],
    } | unfamiliar(result) | offset(config, result["metrics"].get("offset_bias_s", 0.0), result.get("offset_confidence"))


def unfamiliar(result):
    """The manifest's section on familiarity; empty for a result of a calibration that chose no levels."""
    return {"familiarity": result["familiarity"]} if result.get("familiarity") else {}


def suspicion(result):
    """The decision's key for the early warning; empty for a result of a calibration that chose none."""
    return {"suspect": result["suspect"]} if "suspect" in result else {}


def offset(config, bias, confidence=None):
    """The manifest's section on the clock offset; empty for a network without a local loss.

    A window counts if the current of its frames changes by more than event_amps. The
    curves of `pool` such stretches are averaged, and the senses match where the mean is
    lowest against its own values dip_s to both sides (clock_offset.dip). A confidence tells
    from how many windows on that is believed. The correction follows slowly. The shifts are moved by the network's bias on validation batches, whose
    true offsets are known: flame and exposure follow the current with a delay that does not
    come from a clock. confidence: of the result, None for one of a calibration without it.
    """
    if not config.local_weight:
        return {}
    if abs(bias) > BELIEVED_BIAS_S:
        bias = 0.0  # too far for a flame's delay: there was no dip to find
    shifts = [round(s + bias, 3) for s in codebook.SHIFTS]
    # The correction must stay within the shifts.
    reach = min(-shifts[0], shifts[-1])
    return {"offset": {
        "shifts_s": shifts, "event_amps": clock_offset.EVENT_AMPS, "window_seconds": clock_offset.STRETCH,
        "dip_s": clock_offset.DIP_S, "pool": max(clock_offset.POOLS), "step_s_per_min": 0.2, "most_s": min(MOST_S, reach),
    } | ({"confidence": confidence} if confidence else {})}


def golden_inputs(model, batch, count=10):
    """Golden inputs from a batch, and edge cases: dark, white, empty, broken.

    A list of (name, signature, inputs).
    """
    vectors, background = [], np.full(BACKGROUND, -1, np.float32)
    tokens = np.zeros((1, window.FRAMES, FRAME_TOKENS, model.config.dim), np.float32)
    baseline = np.zeros((1, current_baseline.SIZE), np.float32)
    seconds = np.linspace(0, len(batch.label) - 1, count).astype(int)
    for second in seconds:
        frame = batch.frames[max(batch.frame_at[second], 0)][None]
        vectors.append((f"frame at {second} s", "encode_frame", {"frame": frame, "background": background}))
        out = model.encode_frame(frame, background)
        # Rounded to sixteenths, so that the file compresses well.
        background = np.round(keras.ops.convert_to_numpy(out["background"]) * 16) / 16
        tokens = np.roll(tokens, -1, axis=1)
        tokens[:, -1] = keras.ops.convert_to_numpy(out["tokens"])
        inputs = golden_window(batch, second, tokens)
        if model.config.current_baseline:
            inputs["current_baseline"] = baseline
            baseline = keras.ops.convert_to_numpy(model.step(**inputs)["current_baseline"])
        vectors.append((f"window at {second} s", "step", inputs))
    for name, level in (("black", 0), ("white", 255)):
        frame = np.full((1, SIZE, SIZE, 3), level, np.uint8)
        vectors.append((name, "encode_frame", {"frame": frame, "background": background}))
    return vectors + edges(vectors[-3][2])


def golden_window(batch, second, tokens):
    amps, mask, set_point = window.current_window(batch.currents[0], second)
    seen = np.zeros((1, window.FRAMES), np.float32)
    seen[:, -8:] = 1
    return {"tokens": tokens, "frame_mask": seen, "current": amps[None], "sample_mask": mask[None],
            "set_point": set_point[None]}


def edges(whole):
    """Windows with missing or broken inputs, made from a complete one."""
    broken = whole["current"].copy()
    broken[0, 100:110, 1] = np.nan
    changed = {
        "no video": {"frame_mask": 0 * whole["frame_mask"]},
        "no current": {"sample_mask": 0 * whole["sample_mask"]},
        "nothing": {"frame_mask": 0 * whole["frame_mask"], "sample_mask": 0 * whole["sample_mask"]},
        "no set-point": {"set_point": 0 * whole["set_point"]},
        "furnace off": {"current": 0 * whole["current"]},
        "samples that are no numbers": {"current": broken},
    }
    if "current_baseline" in whole:
        changed |= {
            "baseline of a long time": {"current_baseline": np.float32([[0.2, 0.3, 0.4, 900]])},
            "baseline out of range": {"current_baseline": np.full_like(whole["current_baseline"], 1e6)},  # the agent passes no NaN
        }
    return [(name, "step", whole | change) for name, change in changed.items()]


def release(model, result, batch, out, commit="", called=None):
    """Writes the folder and returns the manifest; called: name and version that replace the network's.

    The constants of familiarity lie beside the graph, for recover.py.
    """
    densities = getattr(model, "densities", {})
    beside = (lambda folder: familiarity.save(densities, folder)) if densities else None
    return save(out, functions(model), sections(model.config, result, commit) | (called or {}), golden_inputs(model, batch), beside)


def release_checked(model, result, batch, out, commit="", called=None, agent=AGENT):
    """Like release(), but replaces the folder only if the agent accepts the new one.

    agent: the program whose check decides. Raises ValueError with the agent's message.
    """
    out = pathlib.Path(out)
    new = out.with_name(out.name + ".new")
    manifest = release(model, result, batch, new, commit, called)
    try:
        check = subprocess.run([agent, "model", "check", new], capture_output=True, text=True)
    except FileNotFoundError:
        raise ValueError(f"{agent}: is missing, and its check must accept a release; run make build") from None
    if check.returncode:
        raise ValueError(f"the agent rejects the model, which is kept in {new}: {check.stderr.strip()}")
    if out.exists():
        shutil.rmtree(out)
    new.rename(out)
    return manifest


def warnings(m):
    """Warnings about a model at its release, from its metrics."""
    worse = model_card.worse_than_one_sense(m)
    if worse:
        yield worse
    bias = m.get("offset_bias_s", 0.0)
    if abs(bias) > BIAS_S:
        yield (f"the clock offset comes out {bias:+.1f} s wrong on validation batches, whose offset is known: "
               "the local loss is weak on such recordings, and the agent can correct less of the offset")


def calibrated(path):
    """The result that calibrate wrote."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"{path}: is missing; calibrate the run first") from None


def of_houses(files):
    """Metrics of other families of furnaces: house_<picture>_<current>_<metric>, from files of transfer --out."""
    found = {}
    for path in files:
        for pair, figures in json.loads(pathlib.Path(path).read_text()).items():
            hours = ("false_alarms", "normal_hours") if not figures.get("normal_hours") else ()  # none were scored
            found |= {f"house_{'_'.join(pair.split(' + '))}_{k}": figures[k] for k in model_card.HOUSE | model_card.HOUSE_SUSPECTED if k in figures and k not in hours}
    return found


def current_commit():
    git = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    return git.stdout.strip() if git.returncode == 0 else ""


def release_run(run, data, out, figures=None, of=(), called=None):
    """Makes the model folder of the calibrated run in a folder; returns its manifest.

    data: a data set whose first test batch gives the golden vectors; figures: the page to
    write; of: files with figures of other families; called: the manifest's name and version.
    """
    model, result = load(run), calibrated(pathlib.Path(run) / RESULT)
    if unfamiliar(result) and not model.densities:
        raise ValueError(f"{run}: its levels of familiarity belong to other weights; calibrate the run again, with --learnt")
    result["metrics"] |= of_houses(of)
    batch = layout.read_batch(data, layout.names(data, "test")[0], rerolls=False)
    manifest = release_checked(model, result, batch, out, current_commit(), called or {})
    if figures:
        pathlib.Path(figures).write_text(model_card.page(manifest), encoding="utf-8")
    return manifest

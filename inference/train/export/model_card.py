"""The model card: a page of a released model's figures, from its manifest alone."""

ROWS = (("both senses", "both"), ("current alone", "current"),
        ("current alone, FDR ≤ 0.01 on validation", "current_strict"),
        ("video alone", "video"), ("CV of 120 s, best level", "rule_cv_120"))

# Of each pair of families: the column's title by the metric.
HOUSE = {"both_accuracy": "both senses", "current_accuracy": "current alone", "video_accuracy": "video alone",
         "fused_error_ratio": "error ratio", "onsets": "onsets", "onsets_missed": "missed", "delay_median_seconds": "delay median s",
         "delay_p95_seconds": "delay p95 s", "mixed_false_alarms": "false alarms between onsets", "mixed_normal_hours": "in hours",
         "false_alarms": "false alarms", "normal_hours": "normal hours"}


# The same of the suspicion, the early warning before an alarm.
HOUSE_SUSPECTED = {"suspect_delay_median_seconds": "suspected, delay median s", "suspect_delay_p95_seconds": "p95 s",
                   "suspect_lead_median_seconds": "sooner, median s", "suspect_onsets_missed": "missed",
                   "suspect_mixed_false_alarms": "false between onsets", "suspect_mixed_normal_hours": "in hours"}


def page(manifest):
    """docs/model-figures.md."""
    return "\n\n".join([
        f"# Figures of {manifest['name']} {manifest['version']}",
        "Written by `inference/train/release.py` from the model's manifest, which names the commit it was exported at. "
        "How such figures come about: docs/model.md.",
        *houses(manifest["metrics"]), *seconds(manifest["metrics"]), *events(manifest), *suspicion(manifest), *familiarity(manifest),
        *clock(manifest["metrics"]), *known_offset(manifest), *decision(manifest),
    ]) + "\n"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def houses(m):
    """A table of the pairs of families that the release was scored on; nothing without them."""
    pairs = families(m)
    if not pairs:
        return
    yield "## Other families of picture and of current"
    yield ("Fresh melts of the simulator's other families, whose episodes often show in one sense only, with the release's own "
           "thresholds. Training saw other melts of all of these families; docs/transfer.md has the figures of families that "
           "training left out. Accuracy is balanced, at p 0.5; the error ratio is that of both senses against the better single one.")
    yield table(("picture", "current", *HOUSE.values()),
                [(*pair, *(house_value(m.get(f"house_{'_'.join(pair)}_{k}")) for k in HOUSE)) for pair in pairs])


def families(m):
    return dict.fromkeys(tuple(k.split("_")[1:3]) for k in m if k.startswith("house_"))


def house_value(value):
    return "–" if value is None else f"{value:.0f}" if value == int(value) or abs(value) > 20 else f"{value:.3f}"


def seconds(m):
    names = ("accuracy", "f1", "fdr", "mdr", "auroc")
    yield "## Seconds, both classes weighed alike"
    yield (f"{m['test_seconds']:.0f} scored seconds of {m['test_batches']:.0f} test batches that neither "
           "training nor any threshold has seen.")
    yield table(("judged by", "accuracy", "F1", "FDR", "MDR", "AUROC"),
                [(text, *(f"{m[f'{key}_{n}']:.4f}" for n in names)) for text, key in ROWS])
    if worse := worse_than_one_sense(m):
        yield f"**Warning:** {worse}."
    yield (f"Error of both senses against the better single one: {m['fused_error_ratio']:.2f}. "
           f"Correlation of the senses' errors within a class: {m['error_correlation']:.3f}, without the first 20 s "
           f"after a change of the label, in which neither has seen it yet, {m['error_correlation_settled']:.3f}. "
           f"Lead over the rule: {100 * (m['both_accuracy'] - m['rule_cv_120_accuracy']):.1f} points.")


def worse_than_one_sense(m):
    """A warning if both senses together err more than one of them alone, else ""."""
    sense = max(("current", "video"), key=lambda s: m[f"{s}_accuracy"])
    both, alone = m["both_accuracy"], m[f"{sense}_accuracy"]
    if both >= alone:
        return ""
    return (f"both senses together are right in {100 * both:.1f} % of the seconds, the {sense} alone in {100 * alone:.1f} %: "
            f"the model is worse than its better sense, and should not be released before the other has been looked at")


def events(manifest):
    m = manifest["metrics"]
    yield "## Onsets and false alarms, after the filter"
    yield "Delay counts from the onset, not from the severity at which a second counts as abnormal."
    yield table(("", "onsets", "missed", "delay median s", "delay p95 s", "false alarms", "normal hours",
                 "in a record's first 120 s"),
                [(text, *figures_of(m, prefix)) for text, prefix in
                 (("validation, where it was chosen", "validation_"), ("test", ""), ("test, the rule alone", "rule_"))])
    yield (f"False alarms between the onsets of the test's mixed batches: {m['mixed_false_alarms']:.0f} in "
           f"{m['mixed_normal_hours']:.1f} normal hours.")
    yield "With one sense lost, on the same test onsets:"
    yield table(("", "missed", "delay median s"),
                [(f"{sense} alone", *figures_of(m, f"{sense}_", ("onsets_missed", "delay_median_seconds")))
                 for sense in ("current", "video")])


def suspicion(manifest):
    """The early warning beside the alarm: how late each comes, and how often for nothing."""
    m, s = manifest["metrics"], manifest["decision"].get("suspect")
    if not s or "suspect_onsets" not in m:
        return
    yield "## Suspected: the early warning before an alarm"
    yield (f"Mean of p(abnormal) over {s['mean_seconds']} s from {s['enter']:g}, left under {s['exit']:g} held for {s['hold_seconds']} s. "
           "Chosen on validation batches; these are the test batches. Delay counts from the onset; an onset is missed if it ends unseen. "
           f"At the median of the onsets that both find, `suspected` comes {house_value(m.get('suspect_lead_median_seconds'))} s before `abnormal`.")
    yield table(("", "onsets", "missed", "delay median s", "delay p95 s", "false", "in normal hours", "false an hour",
                 "false between the onsets", "in their normal hours"),
                [(f"`{name}`", *figures_of(m, p, ("onsets", "onsets_missed", "delay_median_seconds", "delay_p95_seconds", "false_alarms")),
                  f"{m[p + 'normal_hours']:.0f}", f"{m[p + 'false_alarms_per_hour']:.3f}", f"{m[p + 'mixed_false_alarms']:.0f}", f"{m[p + 'mixed_normal_hours']:.0f}")
                 for name, p in (("suspected", "suspect_"), ("abnormal", ""))])
    seconds = sorted(int(k.split("_")[-2]) for k in m if k.startswith("suspect_within_"))
    yield "Share of the onsets found within a time:"
    yield table(("", *(f"{n} s" for n in seconds)),
                [(f"`{name}`", *(f"{m[f'{p}within_{n}_s']:.2f}" for n in seconds)) for name, p in (("suspected", "suspect_"), ("abnormal", ""))])
    pairs = [pair for pair in families(m) if f"house_{'_'.join(pair)}_suspect_onsets_missed" in m]
    if pairs:
        yield "On the other families, whose hours did not limit the choice:"
        yield table(("picture", "current", *HOUSE_SUSPECTED.values()),
                    [(*pair, *(house_value(m.get(f"house_{'_'.join(pair)}_{k}")) for k in HOUSE_SUSPECTED)) for pair in pairs])


def familiarity(manifest):
    """How like the training the test batches are, and how often a sense is called unfamiliar for nothing."""
    m, levels = manifest["metrics"], manifest.get("familiarity", {})
    rows = [(sense, f"{m[f'familiarity_{sense}_normal']:.2f}", f"{m[f'familiarity_{sense}_abnormal']:.2f}", levels[sense]["level"],
             f"{levels[sense]['mean_minutes']} min", f"{levels[sense]['hold_minutes']} min", f"{m[f'familiarity_{sense}_lowest_mean']:.2f}",
             f"{m[f'familiarity_{sense}_events']:.0f}", f"{m[f'familiarity_{sense}_hours']:.0f}")
            for sense in levels if f"familiarity_{sense}_lowest_mean" in m and f"familiarity_{sense}_abnormal" in m]
    if not rows:
        return
    yield "## Familiarity: is the sense like what the model learnt?"
    yield ("0 is unlike anything, one half is as far as half of the training windows are. Under the level, for the mean and the hold, "
           "the agent says that the model is not made for the sense. These are the test batches, of furnaces that training saw: every such event is false.")
    yield table(("sense", "normal seconds", "abnormal seconds", "level", "mean", "hold", "lowest mean", "false events", "in hours"), rows)


EVENTS = ("onsets", "onsets_missed", "delay_median_seconds", "delay_p95_seconds", "false_alarms",
          "normal_hours", "false_alarms_in_first_120_s")


def figures_of(m, prefix, names=EVENTS):
    for name in names:
        yield f"{m[prefix + name]:.0f}" if prefix + name in m else "–"


def clock(m):
    if "offset_bias_s" not in m:
        return
    yield "## The clock offset between the senses"
    yield (f"Injected offsets of −3 … +3 s, found where the local loss dips deepest, in pools of windows with an event; "
           f"{m['offset_bias_s']:+.2f} s, what it finds too much on validation batches, is taken off in the manifest.")
    pools = sorted(int(k.split("_")[-2]) for k in m if k.startswith("offset_within_1_s_of_"))
    yield table(("pool", "pools", "found within ±1 s"),
                [(f"{p} s", f"{m[f'offset_pools_of_{p}_s']:.0f}", f"{m[f'offset_within_1_s_of_{p}_s']:.3f}") for p in pools])


# Of a clock offset that is called known, by the confidence or by the rule of earlier releases.
OFFSET_KNOWN = {"known_right": "known seconds right", "known_share": "seconds known", "first_median_seconds": "first one, median s",
                "first_right": "first one right", "records_never_known": "records without one",
                "changed_known_right": "right where the delay changes", "stranger_known_share": "known with another batch's current"}


def known_offset(manifest):
    """When the clock offset is known, by the confidence beside the earlier rule; nothing for a model without a confidence."""
    m, confidence = manifest["metrics"], manifest.get("offset", {}).get("confidence")
    if not confidence or "offset_known_share" not in m:
        return
    yield (f"Known from a confidence of {confidence['threshold']:g} on, with {confidence['min_windows']} windows or more. The same records by the rule of "
           "earlier releases: 480 windows, all quarters of which agree. Each record counts once for each injected offset. Right is within 1 s; "
           "the seconds are those with an event. The first estimate counts from the record's start, and a record without one as the latest.")
    rows = [("test batches", "offset_")] + [(" + ".join(pair), f"house_{'_'.join(pair)}_offset_") for pair in families(m)]
    yield table(("furnace", "records", "", *OFFSET_KNOWN.values()),
                [(name, f"{m[prefix + 'records']:.0f}", by, *(house_value(m.get(prefix + rule + k)) for k in OFFSET_KNOWN))
                 for name, prefix in rows if prefix + "records" in m for by, rule in (("confidence", ""), ("earlier rule", "rule_"))])


def decision(manifest):
    d, r = manifest["decision"], manifest["rule"]
    yield "## What the manifest says"
    yield (f"Mean of p(abnormal) over {d['mean_seconds']} s; abnormal from {d['enter']:g}, left under {d['exit']:g} "
           f"held for {d['hold_seconds']} s; background frozen from p = {d['freeze_background']:g}{frozen_alone(d)}. "
           f"Rule: CV of 120 s under {r['cv_120']:g}, of 45 s under {r['cv_45']:g}. "
           f"{manifest['metrics']['parameters']:.0f} parameters.")


def frozen_alone(d):
    return f", by one sense alone from {d['freeze_alone']:g} for {d['freeze_alone_seconds']} s at most" if "freeze_alone" in d else ""

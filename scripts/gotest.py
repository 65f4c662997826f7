#!/usr/bin/env python3
"""Tells in brief what `go test -json` says on standard input. Usage: gotest.py NAME.

A line a package as soon as it has ended, with the whole output of each test that failed; at
the end every skip with its reason, the tests that took longest, and the counts.
"""

import collections
import json
import sys

MOST_LINES = 400  # of one failed test
MOST_SKIPS = 40
SLOWEST = 12  # tests are named


def told(lines):
    """The lines of a test; of very many the first and the last."""
    if len(lines) <= MOST_LINES:
        return lines
    half = MOST_LINES // 2
    return [*lines[:half], f"… {len(lines) - 2 * half} lines …\n", *lines[-half:]]


def main(name):
    output = collections.defaultdict(list)  # of a test, or of a package
    counts, skips, took = collections.Counter(), [], {}
    for line in sys.stdin:
        try:
            event = json.loads(line)
        except ValueError:
            print(line, end="", flush=True)
            continue
        action, test = event.get("Action"), event.get("Test")
        key = (event.get("Package") or event.get("ImportPath"), test)
        if action in ("output", "build-output"):
            output[key].append(event["Output"])
        elif action == "build-fail":
            sys.stdout.writelines(output.pop(key, []))
        elif action in ("pass", "fail", "skip") and test:
            counts[action] += 1
            took[key] = event.get("Elapsed", 0)
            lines = output.pop(key, [])
            if action == "fail":
                sys.stdout.writelines(told(lines))
            elif action == "skip":
                skips.append([x.strip() for x in lines if not x.startswith("===")])
        elif action in ("pass", "fail"):
            lines = output.pop(key, [])
            # A package that panics, or exits, leaves what its running tests had said.
            for left in [k for k in output if k[0] == key[0]] if action == "fail" else []:
                sys.stdout.writelines(told(output.pop(left)))
            sys.stdout.writelines(lines if action == "fail" else [x for x in lines if x.startswith("ok")])
        sys.stdout.flush()
    for reason in skips[:MOST_SKIPS]:
        print("skipped: " + " ".join(reason))
    for package, test in sorted((k for k in took if "/" not in k[1]), key=took.get, reverse=True)[:SLOWEST]:
        print(f"slowest: {took[package, test]:.0f} s {package} {test}")
    print(f"{name}: {counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped")


if __name__ == "__main__":
    main(sys.argv[1])

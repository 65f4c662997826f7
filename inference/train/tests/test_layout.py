"""The layout of the packages: which may import which, and that every command is where the docs name it."""

import ast
import importlib
import pathlib
import re

import pytest

TRAIN = pathlib.Path(__file__).parents[1]
ROOT = TRAIN.parents[1]
# A package imports from itself and from those before it.
ORDER = ("data", "models", "training", "evaluation", "export", "comparison", "adaptation", "commands")
MODULES = sorted(p for package in ORDER for p in (TRAIN / package).glob("*.py"))
COMMANDS = sorted(p for p in TRAIN.glob("*.py") if p.stem != "__init__")


def relative(path):
    return str(path.relative_to(TRAIN))


def imported(path):
    """The modules of inference.train that a file imports, at its head or within a function, as (package, module)."""
    here = path.parent.relative_to(TRAIN).parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            absolute = [a.name.split(".") for a in node.names if a.name.startswith("inference.train.")]
            yield from ((*parts[2:], "__init__")[:2] for parts in absolute)
        if not isinstance(node, ast.ImportFrom):
            continue
        names = (node.module or "").split(".") if node.module else []
        if node.level:
            names = [*here[: len(here) - node.level + 1], *names]
        elif names[:2] == ["inference", "train"]:
            names = names[2:]
        else:
            continue
        if len(names) == 2:
            yield tuple(names)
            continue
        for alias in node.names:  # from PACKAGE import module, or a name of the package itself
            package, module = (*names, alias.name, "__init__")[:2]
            yield package, module if (TRAIN / package / f"{module}.py").exists() else "__init__"


def test_every_package_is_in_the_order():
    packages = {p.parent.name for p in TRAIN.glob("*/__init__.py")} - {"tests"}
    assert packages == set(ORDER)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_dependencies_point_one_way(path):
    before = ORDER[: ORDER.index(path.parent.name) + 1]
    wrong = [".".join(target) for target in imported(path) if target[0] not in before]
    assert not wrong, f"{relative(path)} imports {wrong}; {path.parent.name} may import from {before}"


def test_no_module_imports_itself_through_others():
    graph = {(p.parent.name, p.stem): set(imported(p)) for p in MODULES}
    done, path = set(), []

    def visit(module):
        assert module not in path, " → ".join(map(".".join, [*path[path.index(module) :], module]))
        if module in done:
            return
        path.append(module)
        for other in graph[module]:
            visit(other)
        done.add(path.pop())

    for module in graph:
        visit(module)


@pytest.mark.parametrize("path", COMMANDS, ids=relative)
def test_a_command_is_thin_and_answers_help(path, capsys):
    assert len(path.read_text().splitlines()) <= 12
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f"inference.train.{path.stem}").main(["--help"])
    assert end.value.code == 0 and "usage:" in capsys.readouterr().out


# Words of an earlier vocabulary → the field's. Manifest, config and result keys, and the folders of runs, keep theirs.
FORMER = {"bank": "codebook", "geometry": "window", "timeline": "streaming", "offline": "batched", "judge": "calibrate, infer or predict",
          "judged": "predictions", "senses": "unimodal or sequences", "units": "codes", "foreseen": "forecast", "link": "coupling",
          "working": "sanity", "fresh": "holdout", "walk": "closed loop"}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_names_are_the_fields_words(path):
    defined = [path.stem] + [node.name for node in ast.walk(ast.parse(path.read_text()))
                             if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    words = {name: re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name) for name in defined}
    found = {name: FORMER[word.lower()] for name, each in words.items() for word in each if word.lower() in FORMER}
    assert not found, f"names to replace: {found}"


def named(pattern):
    """What the docs, the scripts, the Makefile and the Go code name by a pattern, with the file that does."""
    files = [ROOT / "Makefile", ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "scripts").glob("*.sh"),
             *(ROOT / "bench").rglob("*.go"), *(ROOT / "inference").rglob("*.go"), *TRAIN.rglob("*.py")]
    return sorted({(found, str(f.relative_to(ROOT))) for f in files for found in re.findall(pattern, f.read_text())})


def test_every_command_that_is_named_exists():
    commands = named(r"-m\W+inference\.train\.([a-z_]+)")
    assert {c for c, _ in commands} >= {"train", "check_data", "release", "parity"}
    assert not [pair for pair in commands if not (TRAIN / f"{pair[0]}.py").exists()]


def test_every_path_that_is_named_exists():
    assert not [pair for pair in named(r"inference/train/[\w/]+\.py") if not (ROOT / pair[0]).exists()]

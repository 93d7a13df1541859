"""Planning and validating, which run nothing."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from bench import workloads
from bench.measure import Command, alternately
from bench.setting import Setting
from bench.table import Row
from bench.workloads import Workload

_LOADER = "import yaml; yaml.load(open('recipe.yaml'), yaml.CSafeLoader)"


def plan(setting: Setting) -> Iterator[Row]:
    """The first plan of a large graph, and of a long chain."""
    size = 10_000 if setting.quick else 100_000
    work = Workload("flat", size)
    commands = setting.prepared(work, ("ninja",))
    argv = [setting.f0make, "plan", "recipe.yaml", "-q"]
    ours = replace(commands["f0make"], argv=argv)
    if "ninja" in commands:
        workloads.pretend_built(work, commands["ninja"].place)
        a, b = alternately([ours, commands["ninja"]], 3)
        yield Row(f"first plan of {size:,} instances / ninja's no-op", a, b, 4.0, 2.0)
    setting.done(work)
    length = 5_000 if setting.quick else 20_000
    works = [Workload("chain", length), Workload("flat", length)]
    timed = [replace(setting.prepared(w, ())["f0make"], argv=argv) for w in works]
    a, b = alternately(timed, setting.few)
    yield Row(f"plan of a chain of {length:,} / of as many independent ones", a, b, 1.3, 1.1)
    for w in works:
        setting.done(w)


def validate(setting: Setting) -> Iterator[Row]:
    """Literal steps: reading and checking the recipe, against PyYAML's C loader on the same text."""
    work = Workload("literal", 1_000 if setting.quick else 5_000)
    place = setting.prepared(work, ())["f0make"].place
    check = [setting.f0make, "validate", "recipe.yaml"]
    peer = Command("CSafeLoader", [sys.executable, "-I", "-c", _LOADER], place)
    first = Command("first", check, place, lambda: setting.discard(place / ".f0make"))
    a, b = alternately([first, peer], setting.few)
    yield Row(f"validate {work.size:,} literal steps, first time / CSafeLoader", a, b, 8.0, 4.0)
    again = Command("edit", check, place, _edit(place / "recipe.yaml"))
    (timing,) = alternately([again], setting.few)
    yield Row(
        f"validate {work.size:,} literal steps after one edit",
        timing,
        None,
        0.5,
        0.2,
        value=timing.median,
        unit="s",
    )
    setting.done(work)


def _edit(recipe: Path) -> Callable[[], None]:
    count = itertools.count()

    def edit() -> None:
        lines = recipe.read_text().splitlines()
        at = next(n for n, text in enumerate(lines) if "out/7.txt" in text and "run:" in text)
        lines[at] = f"    run: cp in/7.txt out/7.txt; true {next(count)}"
        recipe.write_text("\n".join(lines) + "\n")

    return edit

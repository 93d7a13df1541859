"""How time and memory grow from 10,000 to 100,000 instances, as the exponent of a power law."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.measure import Command, alternately, once, once_with_peak, peak
from bench.setting import Setting, counted
from bench.table import Row
from bench.workloads import Workload


def growth(setting: Setting) -> Iterator[Row]:
    """No-op, plan and cold."""
    small, large = (500, 5_000) if setting.quick else (10_000, 100_000)
    found: dict[str, list[tuple[float, float]]] = {"plan": [], "cold": [], "no-op": []}
    for size in (small, large):
        work = Workload("flat", size)
        known = setting.large.pop(size, None)
        command = known[0] if known else setting.prepared(work, ())["f0make"]
        plan = replace(command, argv=[setting.f0make, "plan", "recipe.yaml", "-q"])
        with _unbuilt(command.place):
            found["plan"].append(_both(plan, 3))
        if known:
            found["cold"].append(known[1:])
        else:
            timed = replace(command, after=counted(ran=size))
            found["cold"].append(once_with_peak(timed, sys.executable))
        once(command)
        found["no-op"].append(_both(replace(command, argv=[a for a in command.argv if a != "--json"]), 5))
        setting.done(work)
    for name, pair in found.items():
        for what, at in (("time", 0), ("memory of the largest process", 1)):
            exponent = math.log10(pair[1][at] / pair[0][at])
            label = f"growth of {name} from {small:,} to {large:,}, {what}, exponent"
            yield Row(label, bar=1.15, goal=1.05, value=exponent)


@contextmanager
def _unbuilt(place: Path) -> Iterator[None]:
    """``place`` as if nothing had ever run there."""
    aside = [name for name in ("out", ".f0make") if (place / name).exists()]
    for name in aside:
        (place / name).rename(place / f"{name}.aside")
    (place / "out").mkdir()
    try:
        yield
    finally:
        (place / "out").rmdir()
        for name in aside:
            (place / f"{name}.aside").rename(place / name)


def _both(command: Command, rounds: int) -> tuple[float, float]:
    (timing,) = alternately([command], rounds)
    return timing.median, float(peak(command, sys.executable))

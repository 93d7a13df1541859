"""Nothing to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

from bench import workloads
from bench.measure import alternately, once, once_with_peak, peak
from bench.setting import Setting, counted
from bench.table import Row
from bench.workloads import Workload

BARS = {
    (10, "python"): (2.0, 1.5),
    (1_000, "python"): (2.5, 2.0),
    (10_000, "ninja"): (1.2, 1.0),
    (10_000, "make"): (1.2, 1.0),
    (100_000, "ninja"): (1.0, 0.7),
}
MB = 1 << 20


def noop(setting: Setting) -> Iterator[Row]:
    """Flat graphs of four sizes, and other shapes of 10,000."""
    yield from _sizes(setting, [10, 1_000, 5_000] if setting.quick else [10, 1_000, 10_000, 100_000])
    if setting.quick:
        yield from _shape(setting, Workload("layers", 2_000))
    else:
        for shape in ("layers", "chain", "fanin"):
            yield from _shape(setting, Workload(shape, 10_000 if shape != "chain" else 3_000))
    yield from _literal(setting, 1_000 if setting.quick else 3_000)
    if not setting.quick:
        yield from _others(setting, 1_000)


def _sizes(setting: Setting, sizes: list[int]) -> Iterator[Row]:
    large = max(sizes)
    for size in sizes:
        work = Workload("flat", size)
        commands = setting.prepared(work, ("ninja", "make") if size < large else ("ninja",))
        if size == large:
            # So many processes less: what ninja must know to find nothing to do, it is told.
            for other in commands.values():
                if other.name == "ninja":
                    workloads.pretend_built(work, other.place)
            ours = commands["f0make"]
            took = once_with_peak(replace(ours, after=counted(ran=size)), sys.executable)
            setting.large[size] = (ours, *took)
            workloads.check_outputs(work, ours.place)
            once(ours)
        else:
            setting.built(work, commands.values())
        ours = replace(commands.pop("f0make"), after=counted(ran=0, restored=0, current=size))
        quiet = replace(ours, argv=[a for a in ours.argv if a != "--json"], after=lambda said: None)
        timed = [quiet, *commands.values(), replace(setting.python, name="python")]
        rounds = setting.rounds if size <= 10_000 else 5
        alternately([ours], 1)
        timings = alternately(timed, rounds)
        for command, timing in zip(timed[1:], timings[1:], strict=True):
            bar, goal = BARS.get((size, command.name), (None, None))
            if bar is not None or command.name != "python":
                yield Row(f"no-op, {size:,} instances / {command.name}", timings[0], timing, bar, goal)
        if size >= 10_000:
            used = peak(quiet, sys.executable) / MB
            row = Row(f"no-op, {size:,} instances, peak memory", value=used, unit="MB")
            if size == 100_000:
                row.bar, row.goal = 300.0, 150.0
            yield row
        if size == large:
            setting.keep(size, ours.place)
        setting.done(work)


def _shape(setting: Setting, work: Workload) -> Iterator[Row]:
    commands = setting.prepared(work, ("ninja",))
    setting.built(work, commands.values())
    ours = replace(commands.pop("f0make"), after=counted(ran=0, current=work.size))
    timed = [ours, *commands.values()]
    timings = alternately(timed, setting.rounds)
    for command, timing in zip(timed[1:], timings[1:], strict=True):
        yield Row(f"no-op, {work.shape} of {work.size:,} / {command.name}", timings[0], timing)
    setting.done(work)


def _literal(setting: Setting, size: int) -> Iterator[Row]:
    works = [Workload("literal", size), Workload("flat", size)]
    timed = []
    for work in works:
        command = setting.prepared(work, ())["f0make"]
        setting.built(work, [command])
        timed.append(command)
    ours, theirs = alternately(timed, setting.rounds)
    yield Row(f"no-op, {size:,} literal steps / as many foreach instances", ours, theirs, 1.2)
    for work in works:
        setting.done(work)


def _others(setting: Setting, size: int) -> Iterator[Row]:
    work = Workload("flat", size)
    commands = setting.prepared(work, ("doit", "redun", "snakemake"))
    setting.built(work, commands.values())
    ours = commands.pop("f0make")
    for command in commands.values():
        a, b = alternately([ours, command], 3)
        yield Row(f"no-op, {size:,} instances / {command.name}", a, b)
    setting.done(work)

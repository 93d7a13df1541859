"""Something changed: one input, every stamp, or every output is gone."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from bench import workloads
from bench.measure import Command, Timing, alternately, once
from bench.setting import Setting, counted
from bench.table import Row
from bench.workloads import Workload

_count = itertools.count()


def change(setting: Setting) -> Iterator[Row]:
    """Against ninja on a flat graph of 10,000."""
    size = 1_000 if setting.quick else 10_000
    work = Workload("flat", size)
    commands = setting.prepared(work, ("ninja",))
    if "ninja" not in commands:
        return
    setting.built(work, commands.values())
    ours, ninja = commands["f0make"], commands["ninja"]
    timed = [
        replace(ours, before=_edit(ours), after=counted(ran=1, current=size - 1)),
        replace(ninja, before=_edit(ninja)),
    ]
    a, b = alternately(timed, setting.few)
    for command in (ours, ninja):
        workloads.check_outputs(work, command.place)
    yield Row(f"one real change in {size:,} / ninja", a, b, 1.8, 1.2)
    rebuild = Timing([once(replace(ninja, before=_touch(ninja.place)))])
    once(ours)
    touched = replace(ours, before=_touch(ours.place), after=counted(ran=0, restored=0, current=size))
    a = Timing([once(touched) for _ in range(setting.few)])
    yield Row(
        f"touch of all {size:,} inputs / ninja, which re-runs all",
        Timing([a.median]),
        rebuild,
        0.08,
        0.04,
    )
    b = Timing([once(replace(ninja, before=_empty(setting, ninja.place)))])
    gone = replace(ours, before=_empty(setting, ours.place), after=counted(ran=0, restored=size, current=0))
    a = Timing([Timing([once(gone) for _ in range(setting.few)]).median])
    workloads.check_outputs(work, ours.place)
    yield Row(f"all {size:,} outputs deleted: all restored / ninja's rebuild", a, b, 0.15, 0.1)
    setting.done(work)


def _edit(command: Command) -> Callable[[], None]:
    def edit() -> None:
        once(replace(command))  # whatever the last run left racy is settled
        (command.place / "in" / "5.txt").write_text(f"changed {next(_count)}\n")

    return edit


def _touch(place: Path) -> Callable[[], None]:
    def touch() -> None:
        for name in os.listdir(place / "in"):
            os.utime(place / "in" / name)

    return touch


def _empty(setting: Setting, place: Path) -> Callable[[], None]:
    def empty() -> None:
        setting.discard(place / "out")
        (place / "out").mkdir()

    return empty

"""Starting up, against Python's own start."""

from __future__ import annotations

from collections.abc import Iterator

from bench.measure import Command, alternately
from bench.setting import Setting
from bench.table import Row


def start(setting: Setting) -> Iterator[Row]:
    """`--version` and `--help`."""
    for flag, bar, goal in (("--version", 2.0, 1.5), ("--help", 8.0, 5.0)):
        ours, theirs = alternately(
            [Command(flag, [setting.f0make, flag], setting.place), setting.python], setting.rounds
        )
        yield Row(f"{flag} / python -I -c pass", ours, theirs, bar, goal)

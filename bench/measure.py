"""Timing whole processes: alternately, after a warm-up, medians of pairs."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

PEAK = """
import os, sys
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
print("", used.ru_maxrss, sep=chr(10), file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status) and 1)
"""
"""Run by a small Python: the kernel counts the memory of whoever starts a process into that process's peak."""


@dataclass
class Command:
    """Something to time; ``before`` puts its directory into the state it starts from, ``after`` checks the work."""

    name: str
    argv: Sequence[str]
    place: Path
    before: Callable[[], None] = lambda: None
    after: Callable[[str], None] = lambda said: None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Timing:
    """Seconds of each run."""

    seconds: list[float]

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)


def environment(command: Command) -> dict[str, str]:
    """The environment without what would change how Python starts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, **command.env}


def once(command: Command) -> float:
    """Seconds of one run; raises CalledProcessError when it fails."""
    command.before()
    began = time.perf_counter()
    done = subprocess.run(
        command.argv, cwd=command.place, env=environment(command), capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:])
        raise subprocess.CalledProcessError(done.returncode, command.argv)
    command.after(done.stdout + done.stderr)
    return seconds


def once_with_peak(command: Command, python: str) -> tuple[float, int]:
    """Seconds of one run, with those of a small ``python``, and the resident set in bytes of its largest process."""
    said: list[str] = []

    def check(output: str) -> None:
        said.append(output.split()[-1])
        command.after(output)

    seconds = once(replace(command, argv=[python, "-I", "-S", "-c", PEAK, *command.argv], after=check))
    return seconds, int(said[0]) * 1024


def peak(command: Command, python: str) -> int:
    """Resident set in bytes of the largest process of one more run."""
    return once_with_peak(command, python)[1]


def alternately(commands: Sequence[Command], rounds: int, warm: int = 1) -> list[Timing]:
    """Every command ``warm`` times to warm up, then ``rounds`` times in turn."""
    for _ in range(warm):
        for command in commands:
            once(command)
    timings = [Timing([]) for _ in commands]
    for _ in range(rounds):
        for command, timing in zip(commands, timings, strict=True):
            timing.seconds.append(once(command))
    return timings


def ratio(ours: Timing, theirs: Timing) -> float:
    """Median of the pairwise ratios ours / theirs: robust against a machine whose speed drifts."""
    return statistics.median(a / b for a, b in zip(ours.seconds, theirs.seconds, strict=True))


def machine() -> str:
    """One line about where this was measured."""
    system = os.uname()
    load = os.getloadavg()[0]
    cores = len(os.sched_getaffinity(0))
    return f"{system.sysname} {system.release} {system.machine}, {cores} cores, load {load:.1f} at the end"

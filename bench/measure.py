"""Timing whole processes: alternately, after a warm-up, medians of pairs."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Command:
    """Something to time; ``before`` puts its directory into the state it starts from."""

    name: str
    argv: Sequence[str]
    place: Path
    before: Callable[[], None] = lambda: None


@dataclass
class Timing:
    """Seconds of each run, and the largest resident set of any process of them (bytes)."""

    seconds: list[float]
    peak: int

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)


def once(command: Command) -> tuple[float, int]:
    """Seconds and peak memory (bytes) of one run; raises CalledProcessError when it fails."""
    command.before()
    began = time.perf_counter()
    process = subprocess.Popen(
        command.argv, cwd=command.place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command.argv, stderr=said)
    return seconds, usage.ru_maxrss * 1024


def alternately(commands: Sequence[Command], rounds: int) -> list[Timing]:
    """Every command once to warm up, then ``rounds`` times in turn."""
    for command in commands:
        once(command)
    timings = [Timing([], 0) for _ in commands]
    for _ in range(rounds):
        for command, timing in zip(commands, timings, strict=True):
            seconds, peak = once(command)
            timing.seconds.append(seconds)
            timing.peak = max(timing.peak, peak)
    return timings


def ratio(ours: Timing, theirs: Timing) -> float:
    """Median of the pairwise ratios ours / theirs: robust against a machine whose speed drifts."""
    return statistics.median(a / b for a, b in zip(ours.seconds, theirs.seconds, strict=True))


def machine() -> str:
    """One line about where this was measured."""
    system = os.uname()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    cores = len(os.sched_getaffinity(0))
    return f"{system.sysname} {system.release} {system.machine}, {cores} cores, {soft} open files"

"""Where a benchmark runs, how large, and how the tools are started there."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import peers, workloads
from bench.measure import Command, once
from bench.workloads import Workload

JOBS = 2
"""As many as the smallest machine of a CI has cores."""


@dataclass
class Setting:
    """Where and how large."""

    f0make: str
    place: Path
    quick: bool
    large: dict[int, tuple[Command, float, int]] = field(default_factory=dict)
    """Flat graphs that were built already and are kept for another measure: how to start f0make, seconds it took,
    and bytes of its largest process."""
    _trash: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def rounds(self) -> int:
        """Timed runs of commands that take milliseconds."""
        return 7 if self.quick else 15

    @property
    def few(self) -> int:
        """Timed runs of commands that take seconds."""
        return 2 if self.quick else 5

    @property
    def python(self) -> Command:
        """The floor of every tool in Python."""
        return Command("python -I -c pass", [sys.executable, "-I", "-c", "pass"], self.place)

    def discard(self, path: Path) -> None:
        """Move ``path`` out of the way; it is deleted when everything is measured.

        Deleting thousands of files right before a run slows down whoever makes the next ones: ext4 passes over
        every inode that was freed in the last seconds.
        """
        if path.exists():
            trash = self.place / "trash"
            trash.mkdir(exist_ok=True)
            path.rename(trash / str(next(self._trash)))

    def prepared(self, work: Workload, tools: Iterable[str], jobs: int = JOBS) -> dict[str, Command]:
        """A directory with the workload for each tool that is there, f0make first, and how to start it."""
        found = {}
        for tool in ("f0make", *tools):
            argv = self.argv(tool, jobs)
            if argv is None:
                continue
            place = self.place / work.name / tool
            self.discard(place)
            place.mkdir(parents=True)
            workloads.write_inputs(work, place)
            workloads.WRITERS[tool](work, place)
            found[tool] = Command(tool, argv, place)
        return found

    def argv(self, tool: str, jobs: int = JOBS) -> list[str] | None:
        """How ``tool`` brings everything up to date."""
        if tool == "f0make":
            return [self.f0make, "run", "recipe.yaml", f"-j{jobs}", "--json"]
        return peers.argv(tool, jobs)

    def fresh(self, place: Path) -> Callable[[], None]:
        """What puts ``place`` back to where nothing was ever run."""

        def forget() -> None:
            for name in ("out", ".f0make", ".snakemake", ".redun"):
                self.discard(place / name)
            for old in place.glob(".doit.db*"):
                old.unlink()
            for name in (".ninja_log", ".ninja_deps"):
                (place / name).unlink(missing_ok=True)
            (place / "out").mkdir()

        return forget

    def built(self, work: Workload, commands: Iterable[Command]) -> None:
        """Run every tool until it has nothing to do, and check what it made."""
        for command in commands:
            once(command)
            workloads.check_outputs(work, command.place)
            once(command)

    def keep(self, size: int, place: Path) -> None:
        """Keep the flat graph in ``place`` out of the way of the next workload of its name."""
        command, *took = self.large[size]
        kept = self.place / f"kept-{size}"
        place.rename(kept)
        self.large[size] = (replace(command, place=kept), *took)

    def done(self, work: Workload) -> None:
        """Nothing more is measured on ``work``."""
        self.discard(self.place / work.name)

    def close(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.place, ignore_errors=True)


def counted(**expected: int) -> Callable[[str], None]:
    """A check of f0make's summary: ``ran=3, current=997``."""

    def check(said: str) -> None:
        lines = [line for line in said.splitlines() if line.startswith('{"event": "summary"')]
        assert lines, said[-500:]
        summary = json.loads(lines[-1])
        found = {name: summary[name] for name in expected}
        assert summary["status"] == "ok" and found == expected, (summary, expected)

    return check

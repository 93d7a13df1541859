"""What is measured."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import workloads
from bench.measure import Command, Timing, alternately, ratio
from bench.workloads import Workload


@dataclass
class Setting:
    """Where and how large."""

    f0make: str
    place: Path
    quick: bool

    @property
    def rounds(self) -> int:
        """Timed runs of each command."""
        return 5 if self.quick else 11


@dataclass
class Row:
    """One line of the table."""

    measure: str
    ours: Timing
    theirs: Timing

    def text(self) -> str:
        """For the terminal."""
        return (
            f"{self.measure:<58} {self.ours.median:8.4f} s  {self.theirs.median:8.4f} s  "
            f"x {ratio(self.ours, self.theirs):.2f}"
        )

    def markdown(self) -> str:
        """For RESULTS.md."""
        return (
            f"| {self.measure} | {self.ours.median:.4f} | {self.theirs.median:.4f} | "
            f"{ratio(self.ours, self.theirs):.2f} |"
        )


def versions() -> str:
    """Versions of the peers."""
    said = []
    for tool in ("ninja", "make"):
        if shutil.which(tool):
            out = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
            said.append(f"{tool} {out.split()[-1] if tool == 'ninja' else out.splitlines()[0].split()[-1]}")
    return ", ".join(said)


def prepared(setting: Setting, work: Workload, literal: bool = False) -> dict[str, Path]:
    """A directory for each tool with the workload in it."""
    places = {}
    for tool in ("f0make", "ninja", "make"):
        place = setting.place / f"{work.name}-{work.size}{'-literal' if literal else ''}" / tool
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        workloads.write_inputs(work, place)
        places[tool] = place
    workloads.write_f0make(work, places["f0make"], literal)
    workloads.write_ninja(work, places["ninja"])
    workloads.write_make(work, places["make"])
    return places


def commands(setting: Setting, places: dict[str, Path], jobs: int = 2) -> dict[str, list[str]]:
    """How each tool is started."""
    found = {
        "f0make": [setting.f0make, "run", "recipe.yaml", f"-j{jobs}"],
        "ninja": ["ninja", f"-j{jobs}"],
        "make": ["make", "-r", "-s", f"-j{jobs}", "all"],
    }
    return {tool: found[tool] for tool in places if shutil.which(found[tool][0])}


def start(setting: Setting) -> Iterator[Row]:
    """Start-up against Python's own."""
    nothing = Command("python", [sys.executable, "-I", "-c", "pass"], setting.place)
    for flag in ("--version", "--help"):
        ours = Command(flag, [setting.f0make, flag], setting.place)
        a, b = alternately([ours, nothing], setting.rounds)
        yield Row(f"f0make {flag} / python -I -c pass", a, b)


def noop(setting: Setting) -> Iterator[Row]:
    """Nothing to do."""
    for size in (10, 1_000, 10_000) if setting.quick else (10, 1_000, 10_000, 100_000):
        work = Workload("flat", size, "flat")
        places = prepared(setting, work)
        argv = commands(setting, places, jobs=2)
        for tool in argv:
            subprocess.run(argv[tool], cwd=places[tool], check=True, capture_output=True)
            workloads.check_outputs(work, places[tool])
        said = subprocess.run(
            [*argv["f0make"], "--json"], cwd=places["f0make"], capture_output=True, check=True
        )
        assert f'"current": {size}'.encode() in said.stdout, said.stdout[-300:]
        timed = [Command(tool, argv[tool], places[tool]) for tool in argv]
        timed.append(Command("python -I -c pass", [sys.executable, "-I", "-c", "pass"], setting.place))
        timings = alternately(timed, setting.rounds)
        for command, timing in zip(timed[1:], timings[1:], strict=True):
            yield Row(f"no-op, {size:,} instances / {command.name}", timings[0], timing)
        shutil.rmtree(setting.place / f"{work.name}-{work.size}")


def cold(setting: Setting) -> Iterator[Row]:
    """Everything runs: `cp` once for each instance."""
    works = [Workload("flat", 1_000, "flat"), Workload("chain", 300 if setting.quick else 1_000, "chain")]
    if not setting.quick:
        works.append(Workload("flat", 5_000, "flat"))
    for work in works:
        places = prepared(setting, work)
        argv = commands(setting, places)

        def fresh(place: Path) -> None:
            for name in ("out", ".f0make"):
                shutil.rmtree(place / name, ignore_errors=True)
            for name in (".ninja_log", ".ninja_deps"):
                (place / name).unlink(missing_ok=True)
            (place / "out").mkdir()

        timed = [
            Command(tool, argv[tool], places[tool], lambda place=places[tool]: fresh(place))  # type: ignore[misc]
            for tool in argv
        ]
        timings = alternately(timed, 3)
        for tool in argv:
            workloads.check_outputs(work, places[tool])
        for command, timing in zip(timed[1:], timings[1:], strict=True):
            yield Row(f"cold, {work.shape} of {work.size:,} `cp`, -j2 / {command.name}", timings[0], timing)
        shutil.rmtree(setting.place / f"{work.name}-{work.size}")


def validate(setting: Setting) -> Iterator[Row]:
    """Literal steps: reading and checking the recipe, against PyYAML's C loader on the same text."""
    work = Workload("flat", 1_000 if setting.quick else 5_000, "flat")
    places = prepared(setting, work, literal=True)
    place = places["f0make"]
    recipe = place / "recipe.yaml"
    loader = "import yaml; yaml.load(open('recipe.yaml'), yaml.CSafeLoader)"

    def forget() -> None:
        shutil.rmtree(place / ".f0make", ignore_errors=True)

    count = 0

    def edit() -> None:
        nonlocal count
        count += 1
        text = recipe.read_text().splitlines()
        line = next(n for n, t in enumerate(text) if "out/7.txt" in t and "run:" in t)
        text[line] = f"    run: cp in/7.txt out/7.txt; true {count}"
        recipe.write_text("\n".join(text) + "\n")

    check = [setting.f0make, "validate", "recipe.yaml"]
    peer = Command("CSafeLoader", [sys.executable, "-I", "-c", loader], place)
    for label, before in (("first time", forget), ("after one edit", edit)):
        a, b = alternately([Command(label, check, place, before), peer], 5)
        yield Row(f"validate {work.size:,} literal steps, {label} / CSafeLoader", a, b)

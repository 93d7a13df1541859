"""What every world of edits has, and the loop that compares its runs with runs from scratch."""

from __future__ import annotations

import os
import random
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from f0make.errors import F0makeError
from f0make.files.content_cache import Contents
from f0make.options import RunOptions
from f0make.session import Session
from tests.support.inline import InlineExecutor

RECIPE = "recipe.yaml"


class World(ABC):
    """Files and a recipe in the directory ``place``, and what may be done to them."""

    outputs: tuple[str, ...]
    """Paths that steps make; all else is the user's."""

    def __init__(self, place: Path, dice: random.Random) -> None:
        self.place = place
        self.dice = dice

    @abstractmethod
    def build(self) -> None:
        """Lay out the first state."""

    @abstractmethod
    def edit(self) -> str:
        """Do one thing that a person might do; what it was."""


@dataclass
class Tally:
    """What came of many edits."""

    edits: int = 0
    refused: int = 0
    ran: int = 0
    stale: list[str] = field(default_factory=list)
    needless: list[str] = field(default_factory=list)


def storm(kind: type[World], directory: Path, edits: int, seed: int) -> Tally:
    """Make ``edits`` in a world of ``kind`` in ``directory``, with a run after each. Stops at the first fault."""
    dice = random.Random(seed)
    place = directory / "work"
    place.mkdir(parents=True)
    world = kind(place, dice)
    world.build()
    tally = Tally()
    seen: set[tuple[object, ...]] = set()
    history: list[str] = []
    for number in range(edits):
        history.append(world.edit() if number else "nothing")
        tally.edits += 1
        error, steps = run(place)
        scratch = directory / "scratch"
        copy(world, scratch)
        wanted, _ = run(scratch, no_cache=True)
        about = f"seed {seed}, edit {number}: {history[-6:]}"
        if (error is None) != (wanted is None):
            tally.stale.append(f"{about}: {error!r} instead of {wanted!r}")
            break
        if error is not None:
            tally.refused += 1
            continue
        found, right = results(world, place), results(world, scratch)
        # What instances made that are gone stays until somebody cleans up.
        wrong = sorted(p for p in right if found.get(p) != right[p])
        if wrong:
            tally.stale.append(f"{about}: {wrong[:3]} {[(found.get(p), right.get(p)) for p in wrong[:3]]}")
            break
        known = keys(place)
        for name, status in steps.items():
            if status == "ran":
                tally.ran += 1
                if known[name] in seen:
                    tally.needless.append(f"{about}: {name} ran")
        seen.update(known.values())
        if tally.needless:
            break
    return tally


def run(place: Path, no_cache: bool = False) -> tuple[str | None, dict[str, str]]:
    """(error, instance -> state) of a run in ``place``."""
    try:
        result = InlineExecutor(str(place), no_cache=no_cache).execute(RECIPE)
    except F0makeError as error:
        return str(error) or "error", {}
    return (None if result.status == "ok" else result.status), dict(result.steps)


def copy(world: World, target: Path) -> None:
    """The user's files alone, with their links, in ``target``."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for entry in os.scandir(world.place):
        if entry.name in (".f0make", *world.outputs):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.copytree(entry.path, target / entry.name, symlinks=True)
        else:
            shutil.copy2(entry.path, target / entry.name, follow_symlinks=False)


def results(world: World, place: Path) -> dict[str, str]:
    """Every file and link of the outputs."""
    found = {}
    for output in world.outputs:
        top = place / output
        for path in [top, *top.rglob("*")] if not top.is_symlink() else [top]:
            name = str(path.relative_to(place))
            if path.is_symlink():
                found[name] = "-> " + os.readlink(path)
            elif path.is_file():
                found[name] = path.read_text()
    return found


def keys(place: Path) -> dict[str, tuple[object, ...]]:
    """What each instance's result depends on, read anew."""
    session = Session.open(RECIPE, RunOptions(workspace=str(place)))
    try:
        contents = Contents(str(place))
        return {
            i.name: (i.name, i.command, *((path, contents.token(path)) for path in i.inputs))
            for i in session.graph.instances
        }
    finally:
        session.close()

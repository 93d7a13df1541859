"""The loop that edits a world, lets f0make run, and compares with a run from scratch."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from f0make.errors import F0makeError
from f0make.worker.bundle import Bundle
from tests.support.inline import InlineBackend, InlineExecutor

from .base import Facts, World, copy

MEDDLES = 0.1
"""Share of edits upon which a run follows during which another edit is made."""


@dataclass
class Tally:
    """What came of many edits."""

    edits: int = 0
    refused: int = 0
    """States that came to no result, in a run from scratch neither."""
    ran: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    tested: Counter[str] = field(default_factory=Counter)
    """Of the kinds, how many were followed by a run that came to a result."""
    reasons: Counter[str] = field(default_factory=Counter)
    stale: list[str] = field(default_factory=list)
    needless: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in what came of another world."""
        self.edits += other.edits
        self.refused += other.refused
        self.ran += other.ran
        self.stale += other.stale
        self.needless += other.needless
        for name in ("kinds", "tested", "reasons"):
            getattr(self, name).update(getattr(other, name))

    def __str__(self) -> str:
        rows = [f"  {self.kinds[kind]:6} {self.tested[kind]:6}  {kind}" for kind in sorted(self.kinds)]
        share = (self.edits - self.refused) / max(1, self.edits)
        head = (
            f"{self.edits} edits, {self.ran} instances ran, {share:.0%} of the states came to a result; "
            f"stale {len(self.stale)}, needless {len(self.needless)}"
        )
        return "\n".join([head, "    made  tested  kind", *rows])


def storm(kind: type[World], directory: Path, edits: int, seed: int) -> Tally:
    """Make ``edits`` in a world of ``kind`` in ``directory``, with a run after each. Stops at the first fault."""
    dice = random.Random(seed)
    place = directory / "work"
    place.mkdir(parents=True)
    world = kind(place, dice)
    world.build()
    tally = Tally()
    seen: set[Facts] = set()
    known_results: dict[object, tuple[str | None, dict[str, str]]] = {}
    history: list[str] = []
    error: str | None = None
    for number in range(edits):
        if error is not None:
            world.mend()
            history.append("mend")
        history.append(world.edit() if number else "nothing")
        tally.edits += 1
        recipe = world.recipe()
        history[-1] += f" ({recipe})"
        if number and dice.random() < MEDDLES:
            history += _meddled(world, recipe)
        error, steps = run(world.place, recipe)
        state = (recipe, *state_of(world, recipe))
        if state not in known_results:
            known_results[state] = from_scratch(world, recipe, directory / "scratch")
        wanted, right = known_results[state]
        noted, world.noted = world.noted, []
        tally.kinds.update(noted)
        about = f"{kind.__name__}, seed {seed}, edit {number}: {history[-8:]}"
        if (error is None) != (wanted is None):
            tally.stale.append(f"{about}: {error!r} instead of {wanted!r}")
            break
        if error is not None:
            tally.refused += 1
            tally.reasons[error[:70]] += 1
            continue
        tally.tested.update(noted)
        found = results(world, recipe, world.place)
        # What instances made that are gone stays until somebody cleans up.
        wrong = sorted(p for p in right if found.get(p) != right[p])
        wrong += sorted(found.keys() & set(world.temps(recipe)))
        if wrong:
            tally.stale.append(f"{about}: {[(p, found.get(p), right.get(p)) for p in wrong[:3]]}")
            break
        known = world.facts(recipe, steps)
        ran = [name for name, status in steps.items() if status == "ran"]
        tally.ran += len(ran)
        tally.needless += [f"{about}: {name} ran" for name in ran if known[name] in seen]
        seen.update(known.values())
        if tally.needless:
            break
    return tally


class _Meddler(InlineBackend):
    """Makes an edit just before or after the step in whose attempt it falls ran."""

    def __init__(self, workspace: str, at: int, before: bool, edit: Callable[[], object]) -> None:
        super().__init__(workspace)
        self._at, self._before, self._edit = at, before, edit

    def submit(self, bundle: Bundle) -> None:
        self._at -= 1
        if self._at == -1 and self._before:
            self._edit()
        super().submit(bundle)

    def finished(self) -> None:
        if self._at == -1 and not self._before:
            self._edit()


class _MeddledExecutor(InlineExecutor):
    def __init__(self, workspace: str, backend: _Meddler) -> None:
        super().__init__(workspace)
        self._meddler = backend

    def _local(self, jobs: int) -> Any:
        return self._meddler


def _meddled(world: World, recipe: str) -> list[str]:
    """A run with an edit in the middle, which may come to whatever it comes to; what the edit was."""
    told: list[str] = []

    def edit() -> None:
        kept, world.noted = world.noted, []
        told.append("during a run: " + world.dice.choice(world.edits())())
        world.noted = kept + [f"during a run: {kind}" for kind in world.noted]

    at, before = world.dice.randrange(3), world.dice.random() < 0.5
    backend = _Meddler(str(world.place), at, before, edit)
    try:
        _MeddledExecutor(str(world.place), backend).execute(recipe)
    except F0makeError as error:
        told.append(str(error)[:70])
    return told


def run(place: Path, recipe: str, no_cache: bool = False) -> tuple[str | None, dict[str, str]]:
    """(error, instance -> state) of a run in ``place``."""
    try:
        result = InlineExecutor(str(place), no_cache=no_cache).execute(recipe)
    except F0makeError as error:
        return str(error) or "error", {}
    if result.status == "interrupted":
        raise KeyboardInterrupt
    if result.status == "ok":
        return None, dict(result.steps)
    failed = sorted(name for name, status in result.steps.items() if status == "failed")
    return f"{result.status}: {', '.join(failed)}", dict(result.steps)


def from_scratch(world: World, recipe: str, target: Path) -> tuple[str | None, dict[str, str]]:
    """(error, results) of a run in ``target``, made anew with all files of ``world`` but what ``recipe`` makes.

    It is given what is known of the recipes' text: that saves most of the time, and no result rests on it.
    """
    shutil.rmtree(target, ignore_errors=True)
    copy(world.place, target, world.makes(recipe))
    known = world.place / ".f0make" / "steps"
    if known.exists():
        (target / ".f0make").mkdir(mode=0o700)
        shutil.copy2(known, target / ".f0make" / "steps")
    error, _ = run(target, recipe, no_cache=True)
    return error, results(world, recipe, target)


def state_of(world: World, recipe: str) -> list[object]:
    """All that a result from scratch can rest on: names, texts, links and rights."""
    found: list[object] = [str(world.place)]
    for top in (world.place, world.outside):
        for directory, directories, files in os.walk(top):
            if Path(directory) == world.place:
                directories[:] = [one for one in directories if one not in (".f0make", *world.makes(recipe))]
                files = [one for one in files if one not in world.makes(recipe)]
            directories.sort()
            for name in sorted((*directories, *files)):
                path = Path(directory, name)
                link = path.is_symlink()
                text = os.readlink(path) if link else path.read_text() if path.is_file() else ""
                found.append((str(path), link, text, 0 if link else path.stat().st_mode))
    return found


def results(world: World, recipe: str, place: Path) -> dict[str, str]:
    """Every file and link of the outputs; behind a file's text, whether it is executable."""
    found = {}
    for output in world.makes(recipe):
        top = place / output
        for path in [top, *top.rglob("*")] if not top.is_symlink() else [top]:
            name = str(path.relative_to(place))
            if path.is_symlink():
                found[name] = "-> " + os.readlink(path)
            elif path.is_file():
                found[name] = path.read_text() + "x" * os.access(path, os.X_OK)
    return found

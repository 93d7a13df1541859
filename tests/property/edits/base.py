"""What every world of edits has: files of a user's, what may be done to them, and what counts of them."""

from __future__ import annotations

import os
import random
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path

RECIPE = "recipe.yaml"
Facts = tuple[object, ...]


class World(ABC):
    """Files and recipes in the directory ``place``, and what may be done to them.

    Beside ``place`` lie ``outside``, for links that leave the workspace, and states that were saved.
    """

    outputs: tuple[str, ...]
    """Paths at the top of the workspace that steps of any recipe make; all else is the user's."""

    def __init__(self, place: Path, dice: random.Random) -> None:
        self.home = place.parent
        self.place = place
        self.outside = self.home / "outside"
        self.outside.mkdir()
        self.dice = dice
        self.noted: list[str] = []
        """Kinds of what was done since this was last emptied."""

    @abstractmethod
    def build(self) -> None:
        """Lay out the first state."""

    @abstractmethod
    def edits(self) -> list[Callable[[], str]]:
        """What a person might do, more than once what is done more often. Each returns what it did, for a report."""

    @abstractmethod
    def mend(self) -> None:
        """Repair whatever may keep f0make from running anything."""

    @abstractmethod
    def facts(self, recipe: str, names: Iterable[str]) -> dict[str, Facts]:
        """What the result of each of these instances depends on: what has run for the same facts need not run."""

    def recipe(self) -> str:
        """The recipe that runs next."""
        return RECIPE

    def makes(self, recipe: str) -> tuple[str, ...]:
        """Paths at the top that the steps of ``recipe`` make."""
        return self.outputs

    def temps(self, recipe: str) -> tuple[str, ...]:
        """Paths of `makes` that no run leaves."""
        return ()

    def edit(self) -> str:
        """Do one thing."""
        return self.dice.choice([*self.edits(), self.nothing, self.save, self.visit, self.move])()

    def note(self, *kinds: str) -> None:
        """Count these kinds of edits as done."""
        self.noted += kinds

    # What may be done in every world.

    def nothing(self) -> str:
        """Do nothing."""
        self.note("nothing")
        return "nothing"

    def save(self) -> str:
        """Keep the user's files of now, for `visit`."""
        copy(self.place, self.home / "saved", self.outputs)
        return "save"

    def visit(self) -> str:
        """Go to the saved state, as by a checkout: with new times, or (an archive unpacked) with those of then."""
        saved = self.home / "saved"
        if not saved.exists():
            return self.save()
        for entry in os.scandir(self.place):
            if entry.name != ".f0make" and entry.name not in self.outputs:
                clear(Path(entry.path))
        fresh = self.dice.random() < 0.5
        copy(saved, self.place, (), fresh)
        self.note("there and back: all files", "times: new" if fresh else "times: old")
        return "visit" + " with new times" * fresh

    def move(self) -> str:
        """Move the workspace with its state, or move it back."""
        there = self.home / ("moved" if self.place.name == "work" else "work")
        os.rename(self.place, there)
        self.place = there
        self.note("rename: workspace")
        return f"move to {there.name}"

    def touch(self, path: Path) -> str:
        """New times for the same content."""
        stamp = self.dice.choice((None, (10**9, 10**9), (4 * 10**9, 4 * 10**9)))
        if path.is_file():
            os.utime(path, stamp)
            self.note("times: touch" if stamp is None else "times: past or future")
        return f"touch {self.name(path)} {stamp}"

    def rights(self, path: Path) -> str:
        """Other rights for the same content."""
        if path.is_file():
            mode = self.dice.choice((0o644, 0o600, 0o755, 0o444))
            path.chmod(mode)
            self.note("rights")
            return f"chmod {mode:o} {self.name(path)}"
        return self.nothing()

    def back(self, path: Path) -> str:
        """There and back at once, with the times of before."""
        if not path.is_file():
            return self.nothing()
        before, text = path.stat(), path.read_text()
        put(path, "meanwhile\n")
        put(path, text)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        self.note("there and back: one file")
        return f"back {self.name(path)}"

    def sly(self, path: Path, text: str) -> str:
        """Other content with the time of before."""
        if not path.is_file():
            return self.nothing()
        before = path.stat()
        put(path, text)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        self.note("times: kept over a change")
        return f"sly {self.name(path)} {text.strip()}"

    def lose(self, name: str) -> str:
        """Lose an output, alter it by hand, or put a link in its place."""
        path = self.place / name
        if not os.path.lexists(path):
            return self.nothing()
        what = self.dice.choice(("lost", "altered", "replaced by a link"))
        link = path.is_symlink()
        clear(path)
        if what == "altered" and not link:
            path.write_text("by hand\n")
        elif what == "replaced by a link":
            path.symlink_to(self.outside / "A.fq")
        self.note(f"output: {what}")
        return f"{what}: {name}"

    def name(self, path: Path) -> str:
        """``path`` as reports have it."""
        return os.path.relpath(path, self.place)


def put(path: Path, text: str) -> None:
    """Write ``text``, also over what is read-only."""
    if path.exists() and not os.access(path, os.W_OK):
        path.chmod(0o644)
    path.write_text(text)


def clear(path: Path) -> None:
    """Have nothing at ``path``."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def copy(source: Path, target: Path, without: tuple[str, ...], fresh: bool = False) -> None:
    """All of ``source`` but its state and ``without``, with its links, in ``target``; ``fresh``: with new times.

    A link that leads into ``source`` by an absolute path leads into ``target`` then.
    """
    target.mkdir(exist_ok=True)
    for entry in os.scandir(source):
        if entry.name == ".f0make" or entry.name in without:
            continue
        there = target / entry.name
        clear(there)
        if entry.is_symlink():
            text = os.readlink(entry.path)
            there.symlink_to(
                str(target) + text[len(str(source)) :] if text.startswith(f"{source}/") else text
            )
        elif entry.is_dir():
            copy(Path(entry.path), there, (), fresh)
            _lead(there, source, target)
        elif fresh:
            shutil.copy(entry.path, there)
        else:
            shutil.copy2(entry.path, there)


def _lead(place: Path, source: Path, target: Path) -> None:
    for directory, directories, files in os.walk(place):
        for name in (*directories, *files):
            path = Path(directory, name)
            if path.is_symlink() and (text := os.readlink(path)).startswith(f"{source}/"):
                path.unlink()
                path.symlink_to(str(target) + text[len(str(source)) :])

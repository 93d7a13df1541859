"""Declared paths -> normalised ones, and which of them an instance may have. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from f0make import STATE
from f0make.lazy_re import later
from f0make.recipe.output_paths import output_fault, recipe_fault

_PLAIN = later(r"[^/.\0][^/\0]*(?:/[^/.\0][^/\0]*)*")
"""A path that is normalised and relative as it stands: no empty segment, none that begins with a dot."""


class PathError(ValueError):
    """A path that cannot be declared; ``hint`` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


SHORT = 63
"""Characters of a path that is short enough for every system, whatever they are."""
MAX_PATH = 4095
MAX_NAME = 255
"""Bytes of a path and of each name in it that Linux's file systems take."""


def clean(path: str) -> str:
    """``path`` without `.`, `//`, resolvable `..` and trailing slash: `./a//b/` is `a/b`."""
    if _PLAIN.fullmatch(path) is not None:
        return path
    normal = posixpath.normpath(path)
    return normal[1:] if normal.startswith("//") else normal


class Paths:
    """The rules for one workspace and the files of one recipe."""

    def __init__(self, workspace: str, recipe_files: Iterable[str]) -> None:
        self.workspace = workspace.rstrip("/") or "/"
        self._inside = self.workspace.rstrip("/") + "/"
        self._recipes = {self.relative(path) for path in recipe_files}
        self._guarded = {STATE, *self._recipes}
        """Recipe files and the directories that they lie in."""
        for path in self._recipes:
            while path := path.rpartition("/")[0]:
                self._guarded.add(path)

    def relative(self, path: str) -> str:
        """``path`` normalised, relative to the workspace where it lies inside it."""
        normal = clean(path)
        if normal.startswith("/"):
            if normal == self.workspace:
                return "."
            return normal[len(self._inside) :] if normal.startswith(self._inside) else normal
        if normal.startswith("../"):
            whole = posixpath.normpath(self._inside + normal)
            if whole == self.workspace:
                return "."
            if whole.startswith(self._inside):
                return whole[len(self._inside) :]
        return normal

    def input(self, text: str) -> str:
        """The path of a declared input. Raises PathError."""
        if len(text) <= SHORT and _PLAIN.fullmatch(text) is not None and not text.isspace():
            return text
        _check(text, "an input")
        path = self.relative(text)
        if path == "." or path.strip("./") == "" or self._inside.startswith(path.rstrip("/") + "/"):
            raise PathError(f"input {text!r} holds the whole workspace", "name the files that are meant")
        if path == STATE or path.startswith(STATE + "/"):
            raise PathError(f"input {text!r} lies in {STATE}, which is f0make's own")
        return path

    def output(self, text: str) -> tuple[str, bool]:
        """The path of a declared output and whether it is a directory. Raises PathError."""
        if (
            len(text) <= SHORT
            and _PLAIN.fullmatch(text) is not None
            and text not in self._guarded
            and not text.isspace()
        ):
            return text, False
        _check(text, "an output")
        fault = output_fault(text) or recipe_fault(text, self._recipes)
        if fault is not None:
            raise PathError(fault, f"it comes to {text!r}")
        return clean(text), text.endswith("/")


def _check(text: str, what: str) -> None:
    if not text.strip():
        raise PathError(f"{what} with an empty path")
    if "\0" in text:
        raise PathError(f"{what} whose path holds a NUL character")
    if len(text) > SHORT:
        size = len(text.encode("utf-8", "replace"))
        if size > MAX_PATH:
            raise PathError(
                f"{what} with a path of {size:,} bytes, more than the {MAX_PATH:,} that systems take"
            )
        longest = max(len(name.encode("utf-8", "replace")) for name in text.split("/"))
        if longest > MAX_NAME:
            raise PathError(
                f"{what} with a name of {longest:,} bytes in its path, more than the {MAX_NAME} that systems take"
            )

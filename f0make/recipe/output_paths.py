"""What is wrong with a declared output path, as far as its text tells."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from f0make import STATE


def normal(text: str) -> str:
    """``text`` with `.`, `..`, double and trailing slashes resolved."""
    return posixpath.normpath(text)


def output_fault(text: str) -> str | None:
    """Why ``text`` cannot be an output, or None.

    Only the text is looked at; a directory that is a symlink is the user's own business.
    """
    if text.startswith("/"):
        return "an output cannot be an absolute path"
    path = normal(text)
    if path == ".." or path.startswith("../"):
        return "an output cannot lie outside the workspace"
    if path == ".":
        return "an output cannot be the workspace itself"
    if path == STATE or path.startswith(STATE + "/"):
        return "an output cannot be f0make's own directory `.f0make`, nor lie in it"
    if "\0" in path:
        return "an output cannot hold a NUL byte"
    return None


def recipe_fault(text: str, recipes: Iterable[str]) -> str | None:
    """Why an output at ``text`` would destroy one of ``recipes`` (normal paths of the recipe's files), or None."""
    path = normal(text)
    for recipe in recipes:
        if path == recipe:
            return "an output cannot be a recipe"
        if recipe.startswith(path + "/"):
            return f"an output directory cannot hold the recipe ({recipe})"
    return None

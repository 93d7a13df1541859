"""What an instance is known by: its recipe and its name.

Two recipes of one workspace may have steps of the same name. Imports built-in modules only.
"""

from __future__ import annotations

import os

UNKNOWN = ""
"""The recipe of what a log says that was written before recipes were."""


def recipe_of(path: str, workspace: str) -> str:
    """What the recipe in the file ``path`` (relative to ``workspace`` unless absolute) is known by.

    Its path relative to the workspace where it lies inside, however it was written; elsewhere its absolute path. A
    recipe that is a link is known by the link's own name, so that it may lead elsewhere later.
    """
    root = os.path.abspath(workspace)
    full = os.path.normpath(os.path.join(root, path))
    inside = _inside(root, full)
    if inside is None:
        directory, name = os.path.split(full)
        full = os.path.join(os.path.realpath(directory), name)
        inside = _inside(os.path.realpath(root), full)
    return full if inside is None else inside


def _inside(root: str, full: str) -> str | None:
    root = root if root.endswith(os.sep) else root + os.sep
    return full[len(root) :].replace(os.sep, "/") if full.startswith(root) else None


def join(recipe: str, instance: str) -> str:
    """Both as one text, as the tables of the index name an instance."""
    return f"{recipe}\0{instance}"


def split(identity: str) -> tuple[str, str]:
    """(recipe, instance) of what `join` made."""
    recipe, _, instance = identity.partition("\0")
    return recipe, instance

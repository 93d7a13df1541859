"""Paths that change hands: made by one recipe of the workspace before, now made by another."""

from __future__ import annotations

import os
from collections.abc import Iterable

from f0make.store.instance_identity import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.store.record_store import Store


class Handover:
    """Collects what the recipe of ``store`` takes over in one run; to be asked before the log says so."""

    def __init__(self, store: Store, workspace: str) -> None:
        self._store = store
        self._workspace = workspace
        self._taken: dict[str, dict[str, None]] = {}
        """Recipe -> paths that belonged to it."""

    def foreign(self, path: str) -> str | None:
        """The other recipe that made what f0make last left at ``path``; None when there is none, or none known."""
        maker = self._store.maker(path)
        if maker is None or maker[0] in (UNKNOWN, self._store.recipe):
            return None
        return maker[0]

    def take(self, paths: Iterable[str]) -> None:
        """An instance of this recipe makes ``paths``, or has found there what it would make."""
        for path in paths:
            recipe = self.foreign(path)
            if recipe is not None:
                self._taken.setdefault(recipe, {})[path] = None

    def told(self) -> list[str]:
        """One line for each recipe that something was taken over from."""
        found = []
        for recipe, paths in self._taken.items():
            there = os.path.lexists(os.path.join(self._workspace, recipe))
            found.append(wording(list(paths), recipe, self._store.recipe, there))
        return found


def wording(paths: list[str], old: str, new: str, there: bool) -> str:
    """The line that says so; ``there``: the ``old`` recipe still exists. Pure."""
    more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
    belong = "belong" if more else "belongs"
    return f"{paths[0]}{more}, made by {old}{'' if there else ' (gone)'} before, now {belong} to {new}"

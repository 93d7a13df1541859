"""Globs against files that exist and files that will be made."""

from __future__ import annotations

from f0make.expand.expansion_facts import Facts
from f0make.expand.globs import Glob
from f0make.expand.makers import Made


def match_glob(glob: Glob, step: str, made: Made, facts: Facts, orphans: dict[str, str]) -> list[str]:
    """Sorted paths for a glob of ``step``.

    The step's own outputs never count. Files that f0make made and that no instance makes any more are left
    out and put into ``orphans`` with the name of who made them.
    """
    found: set[str] = set()
    for path in facts.glob(glob.disk):
        if not glob.matches(path):
            continue
        owner = made.owner(path)
        if owner == step:
            continue
        if owner is None:
            maker = facts.made_by(path)
            if maker is not None:
                orphans[path] = maker
                continue
        found.add(path)
    found.update(path for path in made.matching(glob) if made.owner(path) != step)
    return sorted(found)

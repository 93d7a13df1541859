"""Whom a path concerns: the instances that read or make it, or everybody. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from f0make.model import Instance

EVERYBODY = 0xFFFF_FFFF
"""The owner of a path that the graph itself rests on."""

Owners = dict[str, set[int]]
"""Path -> 2 x instance, and 1 more where the instance makes it."""


def direct(instances: Iterable[tuple[int, Instance]], discovered: Mapping[int, Iterable[str]]) -> Owners:
    """The owners of the paths that instances name, and of those ``discovered`` in a run of each."""
    found: Owners = {}
    for number, instance in instances:
        for path in instance.inputs:
            found.setdefault(path, set()).add(2 * number)
        for output in instance.outputs:
            found.setdefault(output.path, set()).add(2 * number + 1)
        for path in discovered.get(number, ()):
            found.setdefault(path, set()).add(2 * number)
    return found


def owners_of(path: str, known: Owners) -> set[int]:
    """The owners of ``path``: its own and those of every directory around it; empty when nobody names it."""
    own = known.get(path)
    found = own or set()
    whole = known.get(".")
    if whole and path[:1] != "/":
        found = found | whole
    cut = path.rfind("/")
    while cut > 0:
        more = known.get(path[:cut])
        if more:
            found = found | more
        cut = path.rfind("/", 0, cut)
    return found


def nodes(owners: Iterable[int]) -> set[int]:
    """The instances among ``owners``, which must not be everybody."""
    return {owner >> 1 for owner in owners}


def made(owners: Iterable[int]) -> bool:
    """Whether one of ``owners`` makes the path."""
    return any(owner & 1 for owner in owners if owner != EVERYBODY)

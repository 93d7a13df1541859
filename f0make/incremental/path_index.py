"""Whom a path concerns: the instances that read or make it, or everybody. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set

from f0make.model import Instance

EVERYBODY = 0xFFFF_FFFF
"""The owner of a path that the graph itself rests on."""

NOBODY: frozenset[int] = frozenset()

Owners = dict[str, set[int]]
"""Path -> 2 x instance, and 1 more where the instance makes it."""


def direct(
    instances: Iterable[tuple[int, Instance]],
    discovered: Mapping[int, Iterable[str]],
    via: Callable[[str], Iterable[str]],
) -> Owners:
    """The owners of the paths that instances name, and of those ``discovered`` in a run of each.

    ``via``: what else the content of a path that is read rests on, as `Contents.via`.
    """
    found: Owners = {}
    for number, instance in instances:
        for path in (*instance.inputs, *discovered.get(number, ())):
            if path in found:
                found[path].add(2 * number)
            else:
                found[path] = {2 * number}
            for name in via(path):
                found.setdefault(name, set()).add(2 * number)
        for output in instance.outputs:
            if output.path in found:
                found[output.path].add(2 * number + 1)
            else:
                found[output.path] = {2 * number + 1}
    return found


def owners_of(paths: Iterable[str], known: Owners) -> Iterator[Set[int]]:
    """For each of ``paths`` its own owners and those of every directory around it; empty when nobody names it."""
    around: dict[str, Set[int]] = {}
    for path in paths:
        head = path[: path.rfind("/") + 1]
        above = around.get(head)
        if above is None:
            above = around[head] = _around(head, known)
        own = known.get(path)
        yield above if own is None else own | above if above else own


def _around(head: str, known: Owners) -> Set[int]:
    """The owners of the directory ``head``, which ends in a slash ("": the workspace), and of all above it."""
    found = set(known.get(".", NOBODY)) if head[:1] != "/" else set()
    directory = head[:-1]
    while directory:
        found |= known.get(directory, NOBODY)
        directory = directory.rpartition("/")[0]
    return found


def nodes(owners: Iterable[int]) -> set[int]:
    """The instances among ``owners``, which must not be everybody."""
    return {owner >> 1 for owner in owners}


def made(owners: Iterable[int]) -> bool:
    """Whether one of ``owners`` makes the path."""
    return any(owner & 1 for owner in owners if owner != EVERYBODY)

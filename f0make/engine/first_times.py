"""Which time each file gets that a step has made again. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from f0make.files.times_and_modes import flat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.worker.bundle import Outcome


def dated(before: Mapping[str, Any], outcome: Outcome) -> dict[str, int]:
    """Path -> mtime (ns) that files of ``outcome`` should have; those that keep theirs are left out.

    ``before`` is the record of what the step made the last time.
    """
    known = dict(_files(before.get("outputs", {}), before.get("trees", {})))
    first = dict(flat(before.get("times") or {}))
    same = {
        path: first[path]
        for path, token in _files(outcome.outputs, outcome.trees)
        if path in first and known.get(path) == token
    }
    return first_times(dict(flat(outcome.times)), same) if same else {}


def first_times(made: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """The mtimes that files should have which a step has just made; those that stay are left out.

    ``made``: path -> mtime now. ``before``: for those whose content was there already, the time at which it was made
    first. A file gets that time unless it would then be older than one that the step made before it, or that time is
    still to come: the order in which the files of a step were made always stays.
    """
    found: dict[str, int] = {}
    newest: int | None = None
    for now, paths in _groups(made):
        wanted = [before.get(path, now) for path in paths]
        same = len(paths) == 1 or all(path in before for path in paths)
        if not same or max(wanted) > now or (newest is not None and min(wanted) < newest):
            wanted = [now] * len(paths)
        for path, time in zip(paths, wanted, strict=True):
            if time != now:
                found[path] = time
        newest = max(wanted) if newest is None else max(newest, *wanted)
    return found


def recorded(record: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """(path, token, mtime in ns) of every file that ``record`` has the time of."""
    tokens = dict(_files(record.get("outputs", {}), record.get("trees", {})))
    for path, time in flat(record.get("times") or {}):
        if path in tokens:
            yield path, tokens[path], time


def _groups(made: Mapping[str, int]) -> Iterator[tuple[int, list[str]]]:
    """(mtime, the paths that have it), in order."""
    groups: dict[int, list[str]] = {}
    for path, time in made.items():
        groups.setdefault(time, []).append(path)
    yield from sorted(groups.items())


def _files(outputs: Mapping[str, str], trees: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for path, token in outputs.items():
        if path in trees:
            for inside, entry in trees[path].items():
                yield f"{path}/{inside}", entry
        else:
            yield path, token

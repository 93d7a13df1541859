"""Bound what runs leave for people to look at: logs of earlier attempts and of instances that are gone, failed outputs.

Nothing of the user's is touched: `.f0make/displaced/` is theirs and is never pruned.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from f0make import STATE
from f0make.store.log_names import attempt_log, log_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.workset import Workset

KEPT_RUNS = 10
"""Runs whose failed outputs are kept, the newest."""
KEPT_BYTES = 20_000_000
"""Bytes of an instance's earlier attempts' logs; the last attempt's log is kept whatever its size."""
KEPT_GONE = 1_000
"""Logs of instances that no recipe has any more, the newest."""


def keep_attempt(log: str, number: int) -> None:
    """Keep ``log`` under the name of the attempt ``number``: another attempt follows, whose log takes its place.

    The oldest ones go when the earlier attempts' logs are larger than `KEPT_BYTES` together. ``log`` is absolute.
    """
    try:
        os.replace(log, attempt_log(log, number))
    except OSError:
        return  # It printed nothing.
    room = KEPT_BYTES
    for earlier in range(number, 0, -1):
        path = attempt_log(log, earlier)
        room -= _size(path)
        if room < 0:
            _unlink(path)


def forget_attempts(log: str, retries: int) -> None:
    """Remove the logs that the attempts of an earlier run have left beside ``log``; it had ``retries`` or more."""
    number = 1
    while _unlink(attempt_log(log, number)) or number <= retries:
        number += 1


def prune(session: Workset) -> None:
    """Remove what is beyond the bounds, at the end of a run."""
    state = os.path.join(session.workspace, STATE)
    _prune_failed(os.path.join(state, "failed"))
    directory = os.path.join(state, "logs")
    try:
        names = os.listdir(directory)
    except OSError:
        return
    if not session.complete:
        return
    own = session.store.recipe
    here = [(own, instance.name) for instance in session.graph.instances]
    if len(names) <= KEPT_GONE + len(here):
        return
    others = [known for known in session.store.instances() if known[0] != own]
    for name in gone_logs(names, [*here, *others], lambda name: _mtime(os.path.join(directory, name))):
        _unlink(os.path.join(directory, name))


def gone_logs(
    names: Iterable[str], known: Iterable[tuple[str, str]], age: Callable[[str], float]
) -> list[str]:
    """The logs among ``names`` of no ``known`` (recipe, instance), but for the `KEPT_GONE` newest by ``age``. Pure."""
    kept = {log_name(recipe, instance).removesuffix(".log") for recipe, instance in known}
    gone = [name for name in names if name.endswith(".log") and _stem(name) not in kept]
    gone.sort(key=age)
    return gone[:-KEPT_GONE]


def _stem(name: str) -> str:
    """The name of a log without its ending, and without the number of an attempt."""
    stem, _, number = name.removesuffix(".log").rpartition(".")
    return stem if number.isdigit() and len(number) < 6 else name.removesuffix(".log")


def _prune_failed(directory: str) -> None:
    from f0make.files.beneath import LIST
    from f0make.workspace.remove import remove_entry

    try:
        fd = os.open(directory, LIST)
    except OSError:
        return
    try:
        for run in sorted(os.listdir(fd))[:-KEPT_RUNS]:
            remove_entry(fd, run)
    except OSError:
        pass
    finally:
        os.close(fd)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _mtime(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True

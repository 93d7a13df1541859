"""Putting back what is only gone, before anything is decided, all at once."""

from __future__ import annotations

from collections.abc import Callable, Container

from f0make.files.signature import FOREVER
from f0make.incremental.missing_outputs import Lost, LostFile
from f0make.workspace.refill_many import Done, refill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.cache.blobs import Blobs
    from f0make.files.content_cache import Contents
    from f0make.incremental.packed_graph import Compiled
    from f0make.workspace.workspace_files import Workspace


def put_back(
    lost: Lost, contents: Contents, place: Workspace, blobs: Blobs | None, going_on: Callable[[], bool]
) -> set[int]:
    """Put back what instances have ``lost``, while ``going_on`` says so; those of which something cannot be had."""
    waiting = sorted(lost.items())
    done: list[Done] = [None] * len(waiting)
    if blobs is not None:
        done = refill(place, [files for _, files in waiting], blobs, going_on)
    failed = set()
    for (number, files), seen in zip(waiting, done, strict=True):
        if seen is None:
            failed.add(number)
            continue
        for (path, token, _, _), (signature, racy) in zip(files, seen, strict=True):
            contents.learn(path, signature, token, 0 if racy else FOREVER)
    return failed


def reasons(compiled: Compiled, lost: Lost, failed: Container[int]) -> dict[str, str]:
    """Name of each instance that has got back what it had ``lost`` -> what a person is told."""
    return {
        compiled.names[n]: f"output {_first(compiled, n, files)} is missing"
        for n, files in sorted(lost.items())
        if n not in failed
    }


def _first(compiled: Compiled, number: int, files: list[LostFile]) -> str:
    """The first of ``files`` in the order in which their instance declares them."""
    paths = [path for path, *_ in files]
    if len(paths) > 1:
        try:
            instances = compiled.instances([number])
        except OSError:
            instances = None
        declared = [output.path for output in instances[0].outputs] if instances else []
        paths.sort(key=lambda path: declared.index(path) if path in declared else 0)
    return paths[0]

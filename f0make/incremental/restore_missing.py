"""Putting back what is only gone, before anything is decided, all at once."""

from __future__ import annotations

from f0make.files.signature import FOREVER
from f0make.incremental.missing_outputs import LostFile
from f0make.workspace.refill_many import Done, refill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.engine.run import Run
    from f0make.incremental.partial_session import PartSession


def put_back(part: PartSession, run: Run) -> None:
    """Put back what instances have lost; those of which something cannot be had are decided by ``run`` after all.

    Raises StateError when they cannot be read.
    """
    lost = sorted(part.lost.items())
    done: list[Done] = [None] * len(lost)
    if run.blobs is not None:
        groups = [files for _, files in lost]
        done = refill(run.outputs.place, groups, run.blobs, lambda: not run.stopping())
    failed = set()
    for (number, files), seen in zip(lost, done, strict=True):
        if seen is None:
            failed.add(number)
            continue
        for (path, token, _, _), (signature, racy) in zip(files, seen, strict=True):
            part.contents.learn(path, signature, token, 0 if racy else FOREVER)
    names = part.compiled.names
    run.back = {
        names[n]: f"output {_first(part, n, files)} is missing" for n, files in lost if n not in failed
    }
    if failed:
        part.decide_too(failed)
        run.lay_out(part.graph)
    run.restored(names[n] for n in sorted(part.rest.back))


def _first(part: PartSession, number: int, files: list[LostFile]) -> str:
    """The first of ``files`` in the order in which their instance declares them."""
    paths = [path for path, *_ in files]
    if len(paths) > 1:
        try:
            instances = part.compiled.instances([number])
        except OSError:
            instances = None
        declared = [output.path for output in instances[0].outputs] if instances else []
        paths.sort(key=lambda path: declared.index(path) if path in declared else 0)
    return paths[0]

"""The large files of a run are hashed side by side, once the first of them must be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.workset import Workset


def hash_large_together(
    workset: Workset, jobs: int, tell: Callable[[str], None], stopped: Callable[[], bool] = lambda: False
) -> None:
    """Let the first large file of ``workset`` that must be read bring all others with it (see `files.prehash`).

    ``jobs`` threads hash; ``tell`` takes a line for a person, ``stopped`` says whether to give up.
    """

    def paths() -> Iterator[str]:
        instances = workset.graph.instances
        for node in sorted(workset.select().wanted):
            if node < len(instances):
                yield from instances[node].inputs
                yield from (output.path for output in instances[node].outputs)

    def hook(first: str) -> None:
        from f0make.files.prehash import Prehash

        Prehash(workset.contents, paths, jobs, tell, stopped)(first)

    workset.contents.before_large = hook

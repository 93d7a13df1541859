"""The large files of a run are hashed side by side, once the first of them must be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.workset import Workset


def hash_large_together(
    session: Workset, jobs: int, tell: Callable[[str], None], stopped: Callable[[], bool] = lambda: False
) -> None:
    """Let the first large file of ``session`` that must be read bring all others with it (see `files.prehash`).

    ``jobs`` threads hash; ``tell`` takes a line for a person, ``stopped`` says whether to give up.
    """

    def paths() -> Iterator[str]:
        instances = session.graph.instances
        for node in sorted(session.select().wanted):
            if node < len(instances):
                yield from instances[node].inputs
                yield from (output.path for output in instances[node].outputs)

    def hook(first: str) -> None:
        from f0make.files.prehash import Prehash

        Prehash(session.contents, paths, jobs, tell, stopped)(first)

    session.contents.before_large = hook

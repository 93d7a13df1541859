"""What the backend asks of a cluster, whichever engine it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(slots=True)
class Job:
    """One attempt as an engine sees it."""

    token: str
    task: bytes
    """What `worker_main.run` takes."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """What the step declares, by f0make's names; `Cluster.submit` passes on what its workers offer."""


@dataclass(slots=True)
class Reply:
    """What came of a job: the ``answer`` of `worker_main`, or None and ``why`` there is none (no fault of the step)."""

    token: str
    answer: bytes | None = None
    why: str = ""
    worker: str = ""
    """Address of the worker that was lost under it, where that is known."""


class Gone(Exception):
    """The cluster cannot be talked to any more; jobs without a reply are lost. The text says why."""


class Cluster(Protocol):
    """A cluster of workers. All methods are called from the backend's thread; none may block for long.

    An engine runs each job at most once as far as it can, and never again for a reason of the job's own.
    """

    name: str
    """What people call it: ``Dask``."""
    elastic: bool
    """It may get more workers when more jobs wait than it has slots."""

    def open(self, ring: Callable[[], None]) -> None:
        """Connect, or start it. ``ring`` is to be called, from any thread, when there is something to `collect`.

        Raises UnreachableError within ten seconds, UsageError when its files are wrong.
        """
        ...

    def slots(self) -> int:
        """How many steps its workers run at one time, now."""
        ...

    def able(self, resources: Mapping[str, float]) -> bool:
        """Whether some worker, now, has what a job asks for. Raises Gone."""
        ...

    def probe(self, path: str, text: str, answer: Callable[[int], str]) -> dict[str, tuple[int, str]]:
        """Have workers look for a file (see `worker_main.probe`): worker -> (number of its answer, "" or why not)."""
        ...

    def exclude(self, worker: str) -> None:
        """Give no job to ``worker`` any more."""
        ...

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue ``jobs``, in this order. Raises Gone."""
        ...

    def running(self, run: str) -> set[str] | None:
        """The tokens of jobs of ``run`` that a worker has begun; None: it is not known. Raises Gone."""
        ...

    def cancel(self, tokens: Iterable[str]) -> None:
        """Let go of jobs; what runs is ended. There is no reply for them."""
        ...

    def collect(self) -> list[Reply]:
        """What has come in. Raises Gone."""
        ...

    def end(self, run: str, seconds: float) -> bool:
        """End every process of ``run`` on all workers; whether all of them said so within ``seconds``."""
        ...

    def close(self) -> None:
        """Leave the cluster; stop it, if it was started by `open`."""
        ...

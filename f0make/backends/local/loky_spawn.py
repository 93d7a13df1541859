"""loky's way of starting workers, without the one thing that f0make cannot have: touching its standard streams.

loky flushes `sys.stdout` and `sys.stderr` before each start. f0make starts workers in a thread of its own; a
reader that has gone away (``f0make … | head``), a full disk or a closed stream must not keep steps from running.
"""

from __future__ import annotations

from multiprocessing.context import get_spawning_popen
from typing import Any

from loky.backend.context import LokyContext
from loky.backend.popen_loky_posix import Popen
from loky.backend.process import LokyProcess


class _Popen(Popen):  # type: ignore[misc]
    # The worker is started as ``python -m`` of the class's module.
    __module__ = Popen.__module__

    def __init__(self, process: Any) -> None:
        self.returncode = None
        self._fds: list[int] = []
        self._launch(process)


class WorkerProcess(LokyProcess):  # type: ignore[misc]
    """A loky worker that is started without flushing anything."""

    @staticmethod
    def _Popen(process: Any) -> _Popen:
        return _Popen(process)


class WorkerContext(LokyContext):  # type: ignore[misc]
    """The context to give to loky's executor."""

    Process = WorkerProcess


class Descriptor(int):
    """A file descriptor that goes along to a worker, where it is a plain number, the same as here."""

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        popen: Any = get_spawning_popen()
        return int, (popen.duplicate_for_child(int(self)),)

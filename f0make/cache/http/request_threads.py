"""A few threads for requests: started when there is something to do, no obstacle to the end of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class Pool:
    """Runs functions, up to ``size`` at one time, in the order given. They must not raise."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._threads = 0
        self._open = 0
        self._lock = threading.Lock()

    def submit(self, work: Callable[[], None]) -> None:
        """Run ``work`` soon, in some thread."""
        with self._lock:
            self._open += 1
            if self._threads < min(self._size, self._open):
                self._threads += 1
                threading.Thread(
                    target=self._serve, name=f"{self._name}-{self._threads}", daemon=True
                ).start()
        self._queue.put(work)

    @property
    def open(self) -> int:
        """How many functions have not ended."""
        return self._open

    def _serve(self) -> None:
        while True:
            work = self._queue.get()
            try:
                work()
            finally:
                with self._lock:
                    self._open -= 1


def together(pool: Pool, works: Sequence[Callable[[], T]], then: Callable[[list[T]], None]) -> None:
    """Run ``works`` in ``pool``; the last one to end calls ``then`` with what they returned, in order."""
    results: dict[int, T] = {}
    lock = threading.Lock()
    if not works:
        pool.submit(lambda: then([]))
        return

    def one(number: int, work: Callable[[], T]) -> None:
        found = work()
        with lock:
            results[number] = found
            last = len(results) == len(works)
        if last:
            then([results[n] for n in range(len(works))])

    for number, work in enumerate(works):
        pool.submit(partial(one, number, work))

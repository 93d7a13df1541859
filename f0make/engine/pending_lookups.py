"""Nodes whose decision waits for an answer from a cache that is far away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

from f0make.engine.run_state import Listener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.cache.platform_keys import ForPlatform


class PendingLookups(Listener):
    """Which nodes wait for which key; an answer wakes the loop through ``wake``. False: none waits."""

    def __init__(
        self, shared: ForPlatform | None, wake: Callable[[], None], note: Callable[[str], None]
    ) -> None:
        self._shared = shared
        self._wake = wake
        self._note = note
        self._parked: dict[str, list[int]] = {}
        self._answers: SimpleQueue[str] = SimpleQueue()
        if shared is not None:
            shared.listen(self._hear)

    def __bool__(self) -> bool:
        return bool(self._parked)

    @property
    def news(self) -> bool:
        """Whether `answered` has something to say (a wake-up may have been slept through)."""
        return bool(self._parked) and not self._answers.empty()

    def park(self, node: int, key: str) -> None:
        """``node`` is to be decided again when there is an answer about ``key``."""
        self._parked.setdefault(key, []).append(node)

    def answered(self) -> Iterator[int]:
        """The nodes that can be decided now; says what the cache has to say."""
        while self._parked:
            try:
                key = self._answers.get_nowait()
            except Empty:
                break
            yield from self._parked.pop(key, ())
        self.tell()

    def tell(self) -> None:
        """Pass on what a person should know of the cache."""
        for text in self._shared.notes() if self._shared is not None else ():
            self._note(text)

    def laid_out(self) -> None:
        """None waits any more: the nodes have new numbers."""
        self._parked.clear()

    def _hear(self, key: str) -> None:
        self._answers.put(key)
        self._wake()

"""Contents on their way to a host: how often each may be asked for, and how they are sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping

from f0make.backends import bundle_sources
from f0make.worker.agent import send, wire_format

_SLOW = 40e6
"""Bytes a second of a line that is slow: there large contents are compressed where that makes them smaller."""
_WORTH_FAST = 0.5
"""On others, where it makes them so much smaller: then encrypting the rest takes less time, too."""
_ENOUGH = 4 << 20
"""Bytes after which the speed of a line is known."""
_SENDINGS = 6
"""How often a bundle's content is sent to a host at most: copies there may be damaged, or written to by a step."""


class Outgoing:
    """What one host may ask for. Its methods may be called from any thread; `pieces` from one."""

    def __init__(self) -> None:
        self._offers: dict[str, int] = {}
        """Digest of an input of what was sent there -> how often the host may still ask for it."""
        self._lock = threading.Lock()
        self._moved, self._took = 0, 0.0
        """Bytes that were sent, and the seconds that this took."""

    def offer(self, digests: Iterable[str]) -> None:
        """A bundle that has these contents as inputs is sent there."""
        with self._lock:
            for digest in digests:
                self._offers[digest] = self._offers.get(digest, 0) + _SENDINGS

    def offered(self, digest: str) -> bool:
        """Whether the host may ask for ``digest`` (once more, which is counted)."""
        with self._lock:
            left = self._offers.get(digest, 0)
            self._offers[digest] = left - 1
        return left > 0

    def pieces(
        self, digests: Iterable[str], known: Mapping[str, bundle_sources.Source], careful: bool
    ) -> Iterator[bytes]:
        """Messages with the contents ``digests`` from where ``known`` says that they lie, and what is lost.

        ``careful``: also large ones are hashed before they are sent.
        """
        wanted = list(digests)
        lost: list[str] = [digest for digest in wanted if digest not in known]
        items = [(digest, known[digest]) for digest in wanted if digest in known]
        for piece in send.stream(items, lost.append, self._worth, careful):
            began = time.monotonic()
            yield piece
            self._moved += len(piece)
            self._took += time.monotonic() - began
        if lost:
            yield wire_format.message(wire_format.VOID, lost)

    def _worth(self) -> float:
        """How much smaller large contents must get for compressing them, by the speed of the line."""
        slow = self._moved > _ENOUGH and self._moved < _SLOW * max(self._took, 1e-3)
        return send.WORTH if slow else _WORTH_FAST

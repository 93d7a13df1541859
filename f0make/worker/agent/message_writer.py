"""What an agent has to say, written as far as the other end takes it: messages first, then contents. Part of what is
sent.
"""

from __future__ import annotations

import os
import selectors
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice

_AHEAD = 1 << 20
"""Bytes that wait to be written before the next contents are read."""
_AT_ONCE = 64
"""Messages in one write."""
_TURN = 4 << 20
"""Bytes after which the agent must listen again."""


class Writer:
    """Writes to the descriptor ``sink``, which does not block; ``selector`` is told when it is to be waited for."""

    def __init__(self, sink: int, selector: selectors.BaseSelector) -> None:
        self._sink = sink
        self._selector = selector
        self._out: deque[memoryview] = deque()
        self._waits = 0
        """Bytes in it."""
        self._streams: deque[Iterator[bytes]] = deque()

    def say(self, message: bytes) -> None:
        """Write ``message`` after those that wait."""
        self._out.append(memoryview(message))
        self._waits += len(message)

    def stream(self, pieces: Iterator[bytes]) -> None:
        """Write ``pieces`` when nothing else waits."""
        self._streams.append(pieces)

    def fill(self) -> None:
        """Write what can be written without waiting. Raises OSError: nobody reads."""
        written = 0
        while written < _TURN:
            while self._streams and self._waits < _AHEAD:
                piece = next(self._streams[0], None)
                if piece is None:
                    self._streams.popleft()
                else:
                    self.say(piece)
            now = self._write() if self._out else 0
            if not now:
                break
            written += now
        self._wait(bool(self._out))

    def drain(self, seconds: float) -> None:
        """Write the rest of the messages, as far as the other end takes them within ``seconds``."""
        until = time.monotonic() + seconds
        while self._out and time.monotonic() < until:
            try:
                if not self._write():
                    time.sleep(0.01)
            except OSError:
                return

    def _write(self) -> int:
        """Write what the other end takes now: how many bytes that was."""
        try:
            written = os.writev(self._sink, list(islice(self._out, _AT_ONCE)))
        except BlockingIOError:
            return 0
        self._waits -= written
        left = written
        while left:
            if left < len(self._out[0]):
                self._out[0] = self._out[0][left:]
                break
            left -= len(self._out.popleft())
        return written

    def _wait(self, wanted: bool) -> None:
        there = self._sink in self._selector.get_map()
        if wanted and not there:
            self._selector.register(self._sink, selectors.EVENT_WRITE)
        elif there and not wanted:
            self._selector.unregister(self._sink)

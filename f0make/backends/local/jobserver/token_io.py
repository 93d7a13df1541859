"""Taking tokens and giving them back, in f0make and in its workers. Imports nothing that a small worker lacks."""

from __future__ import annotations

import os

Token = tuple[int, int]
"""(which of the two, the byte that stands for it)."""

OWN, POOL = 1, 2
"""The slot that f0make itself was started on, and those that it shares with others."""


class Purse:
    """Two pipes that hold tokens: ``own`` one, ``pool`` the others. Both are descriptors that never block."""

    def __init__(self, own: int, pool: int) -> None:
        self._pipes = {OWN: own, POOL: pool}

    def take(self) -> Token | None:
        """A token, f0make's own first; None when there is none now."""
        for kind, fd in self._pipes.items():
            try:
                data = os.read(fd, 1)
            except OSError:
                continue
            if data:
                return kind, data[0]
        return None

    def give(self, token: Token) -> None:
        """Give ``token`` back, the very byte that was taken."""
        kind, value = token
        try:
            os.write(self._pipes[kind], bytes([value]))
        except OSError:
            pass  # The make above is gone.

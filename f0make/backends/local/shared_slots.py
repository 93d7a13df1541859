"""Memory that f0make shares with the workers forked for it: who runs what, and whether anything may start.

A worker tells here, without a message, which bundle it has taken; f0make needs to know only when something
goes wrong. Each field has one writer, but for the byte that holds everything: a worker whose step has failed
sets it, f0make clears it.
"""

from __future__ import annotations

import mmap
import struct

PLACES = 1000
"""Workers that can be told apart."""
_SIZE = 24
_TAKEN = struct.Struct("=QQB")
_TOKEN = 17
"""Where in a place the two bytes of its jobserver token are."""
_WAITING, _BUSY = 0, 1


class Board:
    """To be made before the fork server is forked. Place 0 is f0make's own."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, _SIZE * (PLACES + 1) + PLACES + 1)
        self._failed = _SIZE * (PLACES + 1)
        """Where the bytes that hold everything begin."""

    def wait(self, place: int) -> None:
        """The worker of ``place`` looks for its next bundle."""
        self._map[place * _SIZE + 16] = _WAITING

    def take(self, place: int, number: int, stamp: int) -> None:
        """The worker of ``place`` has got the bundle ``number`` at the time ``stamp`` (see `host.now`)."""
        _TAKEN.pack_into(self._map, place * _SIZE, number, stamp, _BUSY)

    def taken(self, place: int) -> tuple[int, int]:
        """(number of the bundle last taken, when) of the worker of ``place``."""
        number, stamp, _ = _TAKEN.unpack_from(self._map, place * _SIZE)
        return number, stamp

    def waits(self, place: int) -> bool:
        """Whether the worker of ``place`` looks for a bundle."""
        return self._map[place * _SIZE + 16] == _WAITING

    def keep(self, place: int, token: tuple[int, int] | None) -> None:
        """The worker of ``place`` holds ``token`` of the jobserver (see `jobserver.purse`)."""
        at = place * _SIZE + _TOKEN
        self._map[at : at + 2] = bytes(token or (0, 0))

    def kept(self, place: int) -> tuple[int, int] | None:
        """The token of the worker of ``place``."""
        kind, value = self._map[place * _SIZE + _TOKEN], self._map[place * _SIZE + _TOKEN + 1]
        return (kind, value) if kind else None

    def clear(self, place: int) -> None:
        """Prepare ``place`` for a new worker."""
        _TAKEN.pack_into(self._map, place * _SIZE, 0, 0, _WAITING)
        self.keep(place, None)
        self.hold(place, False)

    def hold(self, place: int, on: bool = True) -> None:
        """Let nothing start until everybody who held has let go."""
        self._map[self._failed + place] = on

    @property
    def held(self) -> bool:
        """Whether nothing may start."""
        return self._map.find(b"\1", self._failed) >= 0

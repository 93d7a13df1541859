"""Messages between f0make and its workers: a length, one letter for the kind, and pickled fields.

Only fields travel, not dataclasses by name: that is several times cheaper. Both ends are the same program on
the same machine, neither has run any code of a step, and the socket is known to nobody else. What comes from other
machines is JSON instead (`json_frame`).
"""

from __future__ import annotations

import socket
import struct
from operator import attrgetter

from f0make.fast_dataclass import fields
from f0make.worker.bundle import Bundle, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


try:
    from _pickle import dumps, loads  # `pickle` is the same and brings its twin in Python along.
except ImportError:
    from pickle import dumps, loads

SETTINGS = b"S"
"""What a forked worker must know; the first message to it."""
READY = b"R"
"""The worker can take a bundle; holds its pid."""
BUNDLE = b"B"
OUTCOME = b"O"
RETURNED = b"T"
"""From a forked worker: the number of a queued bundle that it has taken and will not run."""
STARVED = b"N"
"""The same, because the jobserver has no token for it."""
LARGEST_QUEUED = 64 << 10
"""Bytes; a larger bundle is not queued but handed to an idle worker."""

_HEAD = struct.Struct("=Ic")
_NUMBER = struct.Struct("=Q")
_bundle_fields = attrgetter(*(field.name for field in fields(Bundle)))
_outcome_fields = attrgetter(*(field.name for field in fields(Outcome)))


def frame(kind: bytes, payload: Any = None) -> bytes:
    """``payload`` ready to be sent."""
    if kind == BUNDLE:
        payload = _bundle_fields(payload)
    elif kind == OUTCOME:
        payload = _outcome_fields(payload)
    data = dumps(payload, 5)
    return _HEAD.pack(len(data), kind) + data


def queued(number: int, bundle: Bundle) -> bytes:
    """``bundle`` under ``number`` as one message of a queue that keeps messages apart."""
    return _NUMBER.pack(number) + dumps(_bundle_fields(bundle), 5)


def queued_number(message: memoryview) -> int:
    """The number of a message of `queued`."""
    number: int = _NUMBER.unpack_from(message)[0]
    return number


def queued_bundle(message: memoryview) -> Bundle:
    """The bundle of a message of `queued`."""
    return Bundle(*loads(message[_NUMBER.size :]))


def json_frame(kind: bytes, payload: Any = None) -> bytes:
    """``payload`` (an outcome, or what JSON can hold) ready to be sent to whom this process need not be trusted by."""
    from json import dumps as json_of

    data = json_of(_outcome_fields(payload) if kind == OUTCOME else payload).encode("ascii")
    return _HEAD.pack(len(data), kind) + data


class Frames:
    """Takes messages out of a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, Any]]:
        """Add what was received; every (kind, payload) that is complete."""
        self._buffer += data
        found = []
        while len(self._buffer) >= _HEAD.size:
            size, kind = _HEAD.unpack_from(self._buffer)
            end = _HEAD.size + size
            if len(self._buffer) < end:
                break
            payload = loads(memoryview(self._buffer)[_HEAD.size : end])
            del self._buffer[:end]
            if kind == BUNDLE:
                payload = Bundle(*payload)
            elif kind == OUTCOME:
                payload = Outcome(*payload)
            found.append((kind, payload))
        return found


def receive(line: socket.socket, frames: Frames) -> list[tuple[bytes, Any]] | None:
    """The next complete messages, waiting for them; None when the other end is closed."""
    while True:
        try:
            data = line.recv(1 << 18)
        except ConnectionError:
            return None
        if not data:
            return None
        if found := frames.feed(data):
            return found

"""Messages between f0make and its agents: a length, one byte for the kind, JSON or raw bytes.

No pickle: neither end runs what the other one sends, but for the steps themselves. Part of what is sent.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from f0make.ascii_json import loads
from f0make.fast_dataclass import fields
from f0make.worker.bundle import Bundle, Outcome

# To the agent.
HELLO = 1
"""JSON object, the first message: see `agent.Settings`."""
BUNDLE = 2
VOID = 3
"""JSON list of digests that were wanted and cannot be had any more; what waits for them is lost."""
FETCH = 4
"""JSON list of digests to send."""
KILL = 5
"""JSON text: the token of the attempt to end."""
GO_ON = 6
"""What is queued may start although a step has failed."""
RECALL = 7
"""Start nothing more; what was queued is lost."""
PING = 8
STOP = 9
"""JSON number: seconds between TERM and KILL for everything that runs."""
ASK = 10
"""JSON [number, fingerprint commands, declared variables]."""

# From the agent.
UP = 20
"""JSON object: what the host is like (see `agent.describe`)."""
WANT = 21
"""JSON list of digests that bundles wait for."""
OUTCOME = 22
"""JSON list: the fields of an `Outcome`, and the size in bytes of each content (digest) that it names."""
GONE = 23
"""JSON list of digests that were fetched and are not there."""
PONG = 24
TROUBLE = 25
"""JSON text: the agent cannot go on, and why."""
BYE = 26
ANSWER = 28
"""JSON [number, outputs of the commands or null, what went wrong]."""
BAD = 27
"""JSON list of digests whose bytes arrived wrong."""

# Both ways.
PACK = 40
"""Many small contents: see `outbox`."""
PART = 41
"""A piece of a large content."""

LARGEST = 64 << 20
"""Bytes of one message; more means that something else than an agent is talking."""

_HEAD = struct.Struct(">IB")
_bundle_names = [field.name for field in fields(Bundle)]
_outcome_names = [field.name for field in fields(Outcome)]
_bundle_values = attrgetter(*_bundle_names)
_outcome_values = attrgetter(*_outcome_names)


class Garbled(Exception):
    """What arrives is no message."""


def frame(kind: int, payload: bytes = b"") -> bytes:
    """One message with raw bytes."""
    return _HEAD.pack(len(payload), kind) + payload


def frame_of(kind: int, *pieces: bytes) -> bytes:
    """One message with the bytes of all ``pieces``."""
    return b"".join([_HEAD.pack(sum(map(len, pieces)), kind), *pieces])


def message(kind: int, value: Any) -> bytes:
    """One message in JSON (ASCII, so that names of any bytes survive as lone surrogates)."""
    return frame(kind, json.dumps(value, separators=(",", ":")).encode("ascii"))


def value_of(payload: bytes | memoryview) -> Any:
    """The JSON value of a message. Raises Garbled, also for what the record log could not hold (`compact.loads`)."""
    try:
        return loads(bytes(payload))
    except (ValueError, RecursionError) as error:
        raise Garbled(str(error)) from None


def bundle_message(bundle: Bundle) -> bytes:
    """``bundle`` as a message."""
    return message(BUNDLE, _bundle_values(bundle))


def bundle_of(payload: bytes | memoryview) -> Bundle:
    """The bundle in a message."""
    found = Bundle(*value_of(payload))
    found.outputs = [(path, directory) for path, directory in found.outputs]
    return found


def outcome_message(outcome: Outcome, sizes: Mapping[str, int]) -> bytes:
    """``outcome`` as a message, with the size in bytes of the contents (digests) that it names."""
    return message(OUTCOME, [_outcome_values(outcome), sizes])


def outcome_of(payload: bytes | memoryview) -> tuple[Outcome, Any]:
    """What stands in a message for an outcome and for sizes, of whatever type (see `answers`). Raises Garbled."""
    values = value_of(payload)
    if not isinstance(values, list) or len(values) != 2:
        raise Garbled("an outcome has other fields")
    given, sizes = values
    if not isinstance(given, list) or len(given) != len(_outcome_names):
        raise Garbled("an outcome has other fields")
    return Outcome(*given), sizes


class Frames:
    """Takes messages out of a stream of bytes; ``limits``: kind -> bytes, for a peer that may send no others."""

    def __init__(self, limits: Mapping[int, int] | None = None) -> None:
        self._limits = limits
        self._part = bytearray()
        """The beginning of a message that is not complete."""

    def feed(self, data: bytes | memoryview) -> list[tuple[int, memoryview]]:
        """Add what was received; every (kind, payload) that is complete. Raises Garbled.

        Payloads are views of ``data`` wherever they can be: they hold until it is overwritten.
        """
        view, start, found = memoryview(data), 0, []
        while self._part and start < len(view):
            # Byte by byte as many as are missing, so that no message is copied twice.
            missing = _HEAD.size - len(self._part)
            if missing <= 0:
                missing += self._size_of(self._part)
            taken = min(max(missing, 0), len(view) - start)
            self._part += view[start : start + taken]
            start += taken
            if len(self._part) >= _HEAD.size and len(self._part) == _HEAD.size + self._size_of(self._part):
                found.append((self._part[4], memoryview(self._part)[_HEAD.size :]))
                self._part = bytearray()
        while len(view) - start >= _HEAD.size:
            end = start + _HEAD.size + self._size_of(view, start)
            if end > len(view):
                break
            found.append((view[start + 4], view[start + _HEAD.size : end]))
            start = end
        if start < len(view):
            self._part += view[start:]
        return found

    def _size_of(self, data: bytearray | memoryview, at: int = 0) -> int:
        size, kind = _HEAD.unpack_from(data, at)
        most = LARGEST if self._limits is None else self._limits.get(kind, -1)
        if size > most:
            raise Garbled(f"a message of kind {kind} and {size} bytes")
        return int(size)

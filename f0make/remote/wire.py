"""Messages between f0make and its agents: a length, one byte for the kind, JSON or raw bytes.

No pickle: neither end runs what the other one sends, but for the steps themselves. Part of what is sent.
"""

from __future__ import annotations

import json
import struct
from operator import attrgetter
from typing import Any

from f0make.execution.bundle import Bundle, Outcome
from f0make.lean import fields

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

# From the agent.
UP = 20
"""JSON object: what the host is like (see `agent.describe`)."""
WANT = 21
"""JSON list of digests that bundles wait for."""
OUTCOME = 22
GONE = 23
"""JSON list of digests that were fetched and are not there."""
PONG = 24
TROUBLE = 25
"""JSON text: the agent cannot go on, and why."""
BYE = 26
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
    """The JSON value of a message. Raises Garbled."""
    try:
        return json.loads(bytes(payload))
    except ValueError as error:
        raise Garbled(str(error)) from None


def bundle_message(bundle: Bundle) -> bytes:
    """``bundle`` as a message."""
    return message(BUNDLE, _bundle_values(bundle))


def bundle_of(payload: bytes | memoryview) -> Bundle:
    """The bundle in a message."""
    found = Bundle(*value_of(payload))
    found.outputs = [(path, directory) for path, directory in found.outputs]
    return found


def outcome_message(outcome: Outcome) -> bytes:
    """``outcome`` as a message."""
    return message(OUTCOME, _outcome_values(outcome))


def outcome_of(payload: bytes | memoryview) -> Outcome:
    """The outcome in a message. Raises Garbled."""
    values = value_of(payload)
    if not isinstance(values, list) or len(values) != len(_outcome_names):
        raise Garbled("an outcome has other fields")
    return Outcome(*values)


class Frames:
    """Takes messages out of a stream of bytes."""

    def __init__(self) -> None:
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
                missing += _size_of(self._part)
            taken = min(max(missing, 0), len(view) - start)
            self._part += view[start : start + taken]
            start += taken
            if len(self._part) >= _HEAD.size and len(self._part) == _HEAD.size + _size_of(self._part):
                found.append((self._part[4], memoryview(self._part)[_HEAD.size :]))
                self._part = bytearray()
        while len(view) - start >= _HEAD.size:
            end = start + _HEAD.size + _size_of(view, start)
            if end > len(view):
                break
            found.append((view[start + 4], view[start + _HEAD.size : end]))
            start = end
        if start < len(view):
            self._part += view[start:]
        return found


def _size_of(data: bytearray | memoryview, at: int = 0) -> int:
    size: int = _HEAD.unpack_from(data, at)[0]
    if size > LARGEST:
        raise Garbled(f"a message of {size} bytes")
    return size

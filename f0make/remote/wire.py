"""Messages between f0make and its agents: a length, one byte for the kind, JSON or raw bytes.

No pickle: neither end runs what the other one sends, but for the steps themselves. Part of what is sent.
"""

from __future__ import annotations

import json
import struct
from dataclasses import fields
from operator import attrgetter
from typing import Any

from f0make.execution.bundle import Bundle, Outcome

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


def message(kind: int, value: Any) -> bytes:
    """One message in JSON (ASCII, so that names of any bytes survive as lone surrogates)."""
    return frame(kind, json.dumps(value, separators=(",", ":")).encode("ascii"))


def value_of(payload: bytes) -> Any:
    """The JSON value of a message. Raises Garbled."""
    try:
        return json.loads(payload)
    except ValueError as error:
        raise Garbled(str(error)) from None


def bundle_message(bundle: Bundle) -> bytes:
    """``bundle`` as a message."""
    return message(BUNDLE, _bundle_values(bundle))


def bundle_of(payload: bytes) -> Bundle:
    """The bundle in a message."""
    found = Bundle(*value_of(payload))
    found.outputs = [(path, directory) for path, directory in found.outputs]
    return found


def outcome_message(outcome: Outcome) -> bytes:
    """``outcome`` as a message."""
    return message(OUTCOME, _outcome_values(outcome))


def outcome_of(payload: bytes) -> Outcome:
    """The outcome in a message. Raises Garbled."""
    values = value_of(payload)
    if not isinstance(values, list) or len(values) != len(_outcome_names):
        raise Garbled("an outcome has other fields")
    return Outcome(*values)


class Frames:
    """Takes messages out of a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Add what was received; every (kind, payload) that is complete. Raises Garbled."""
        self._buffer += data
        found = []
        start, have = 0, len(self._buffer)
        while have - start >= _HEAD.size:
            size, kind = _HEAD.unpack_from(self._buffer, start)
            if size > LARGEST:
                raise Garbled(f"a message of {size} bytes")
            end = start + _HEAD.size + size
            if have < end:
                break
            found.append((kind, bytes(memoryview(self._buffer)[start + _HEAD.size : end])))
            start = end
        if start:
            del self._buffer[:start]
        return found

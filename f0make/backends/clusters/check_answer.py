"""What a worker of a cluster answers, checked before anything acts on it: JSON, never pickle. Pure."""

from __future__ import annotations

import struct

from f0make.backends.ssh.check_answers import check, line
from f0make.fast_dataclass import fields
from f0make.worker import frames
from f0make.worker.agent.wire_format import Garbled, value_of
from f0make.worker.bundle import Bundle, Outcome

_HEAD = struct.Struct("=Ic")
_FIELDS = len(fields(Outcome))


def answer_of(message: bytes, bundle: Bundle) -> tuple[bytes, Outcome | str]:
    """The kind of ``message``, and the outcome of ``bundle`` or the text in it. Raises Garbled."""
    if len(message) < _HEAD.size:
        raise Garbled("it is no message")
    size, kind = _HEAD.unpack_from(message)
    if len(message) != _HEAD.size + size:
        raise Garbled("it is no message, or more than one")
    about = value_of(message[_HEAD.size :])
    if kind != frames.OUTCOME:
        return kind, line(about)
    if not isinstance(about, list) or len(about) != _FIELDS:
        raise Garbled("an outcome has other fields")
    outcome = Outcome(*about)
    if outcome.token != bundle.token:
        raise Garbled("it is about another step")
    check(bundle, outcome)
    return kind, outcome

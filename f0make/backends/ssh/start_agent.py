"""Start the agent on a host, over an open connection."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass

from f0make.backends.shipped_code import archive
from f0make.backends.ssh import bootstrap, check_answers
from f0make.backends.ssh.agent_channel import Channel
from f0make.backends.ssh.connection import Connection, Unreachable, reason_of
from f0make.backends.ssh.host import Host, Patience
from f0make.cache.credential_variables import PRIVATE
from f0make.worker.agent import wire_format
from f0make.worker.run_marks import VARIABLE


@dataclass(slots=True)
class Started:
    """An agent that runs: what leads to it, its messages so far, what it says of its host."""

    channel: Channel
    frames: wire_format.Frames
    about: check_answers.About


def start(host: Host, connection: Connection, patience: Patience) -> Started:
    """Start the agent over ``connection``, which is closed when that fails. May take for ever: see `connect_timeout`.

    Raises connection.Unreachable and bootstrap.NotStarted.
    """
    digest, data = archive()
    mark = f"f0make-{secrets.token_hex(8)}"
    seconds = max(patience.connect, 5.0)
    try:
        command = bootstrap.command(mark, host.workdir, digest, len(data))
        channel = Channel(connection, command, seconds)
        rest = bootstrap.begin(channel, mark, host.name, data, seconds)
        hello = {
            "lease": patience.lease,
            "slots": host.slots,
            "env": {**_own_variables(), **host.env},
        }
        channel.send(wire_format.message(wire_format.HELLO, hello))
        frames = wire_format.Frames(check_answers.LIMITS)
        return Started(channel, frames, _greeting(host, channel, frames, rest, seconds))
    except (Unreachable, bootstrap.NotStarted):
        connection.close()
        raise
    except TimeoutError:
        connection.close()
        raise Unreachable(f"{host.name}: its agent does not answer within {seconds:g} s") from None
    except wire_format.Garbled as error:
        connection.close()
        raise Unreachable(f"{host.name}: what answers there is no agent of f0make's: {error}") from None
    except Exception as error:  # paramiko hands on whatever its thread stumbled over in what arrived.
        connection.close()
        why = "" if isinstance(error, EOFError) else f": {reason_of(error)}"
        raise Unreachable(f"{host.name}: the connection broke before its agent ran{why}") from None


def _greeting(
    host: Host, channel: Channel, frames: wire_format.Frames, rest: bytes, seconds: float
) -> check_answers.About:
    """What the agent says of its host, the first of its messages; ``rest``: bytes that came with its start."""
    until = time.monotonic() + seconds
    data = rest
    while True:
        for kind, payload in frames.feed(data):
            if kind == wire_format.UP:
                return check_answers.about_of(payload, host.slots)
            if kind != wire_format.TROUBLE:
                raise wire_format.Garbled("it begins with something else than what it is")
            raise bootstrap.NotStarted(
                "trouble", f"{host.name}: {check_answers.line(wire_format.value_of(payload))}"
            )
        data = channel.receive(max(0.1, until - time.monotonic()))
        if not data:
            said = channel.complaint()
            raise Unreachable(f"{host.name}: its agent ended at once" + (f": {said}" if said else ""))


def _own_variables() -> dict[str, str]:
    """f0make's variables here that steps may see: what runs on a host finds them, too."""
    hidden = {*PRIVATE, VARIABLE}
    return {n: v for n, v in os.environ.items() if n.startswith("F0MAKE_") and n not in hidden}

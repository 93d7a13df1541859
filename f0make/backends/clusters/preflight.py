"""A first connection to a running cluster, before its library is imported, for the sake of the errors.

Dask and Ray themselves go on trying until their time is up, whatever the reason is, and Dask waits for ever for
somebody who accepts a connection and says nothing.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from f0make.backend_address import Address

if TYPE_CHECKING:
    import ssl

PATIENCE = 2.0
"""Seconds for each of: the connection, TLS, the first bytes."""
ALTOGETHER = 5.0
"""Seconds for all of it; a name server alone may take longer."""
_SIZE = 8
"""Bytes of a length, little-endian, with which everything begins that Dask sends."""
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = b"\x04"
"""How a client of HTTP/2 begins, and the kind of the frame that a server answers with (RFC 9113, 3.4 and 6.5)."""


def greet_dask(address: Address, context: ssl.SSLContext | None) -> None:
    """Connect as Dask does, until the scheduler has said something. ``context`` is for `tls://`.

    Raises OSError, which includes TLS's errors and TimeoutError.
    """
    scheme, _, place = address.url.partition("://")

    def act() -> None:
        with socket.create_connection((address.host, _port(place)), PATIENCE) as plain:
            line = plain
            if scheme == "tls":
                if context is None:
                    raise OSError("no certificates: give --dask-ca, --dask-cert and --dask-key")
                line = context.wrap_socket(plain, server_hostname=address.host)
            with line:
                said = _receive(line, _SIZE)
                if not said:
                    raise ConnectionError(
                        "what listens there hangs up at once: it speaks TLS, or no Dask at all"
                    )
                if len(said) < _SIZE or any(said[5:]):
                    raise ConnectionError("what listens there is no Dask scheduler")

    within(ALTOGETHER, act)


def greet_ray(address: Address, tls: bool) -> None:
    """Connect as gRPC does, until the other end has answered; with ``tls`` only connect. Raises OSError."""
    place = address.url.removeprefix("ray://")

    def act() -> None:
        with socket.create_connection((address.host, _port(place)), PATIENCE) as line:
            if not tls:
                line.sendall(_HELLO)
                if _receive(line, 9)[3:4] != _SETTINGS:
                    raise OSError("what listens there is no Ray")

    within(ALTOGETHER, act)


def within(seconds: float, act: Callable[[], None]) -> None:
    """``act``, given up (and left behind in its thread) after ``seconds``. Raises what it raises, and TimeoutError."""
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def run() -> None:
        try:
            act()
            ended.put(None)
        except BaseException as error:
            ended.put(error)

    threading.Thread(target=run, name="cluster-connect", daemon=True).start()
    try:
        error = ended.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"it does not answer within {seconds:g} s") from None
    if error is not None:
        raise error


def _port(place: str) -> int:
    return int(place.rpartition(":")[2])


def _receive(line: socket.socket, count: int) -> bytes:
    """The first ``count`` bytes, fewer at the end."""
    said = b""
    while len(said) < count and (more := line.recv(count - len(said))):
        said += more
    return said

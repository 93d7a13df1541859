"""A first connection to a Dask scheduler, for the sake of its errors.

Dask's own client goes on trying until its time is up, whatever the reason is, and waits for ever for somebody who
accepts a connection and says nothing.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from f0make.engines.address import Address

if TYPE_CHECKING:
    import ssl

PATIENCE = 2.0
"""Seconds for each of: the connection, TLS, the first byte."""


def greet(address: Address, context: ssl.SSLContext | None) -> None:
    """Connect as Dask does, until the scheduler has said something. ``context`` is for `tls://`.

    Raises OSError, which includes TLS's errors.
    """
    scheme, _, place = address.url.partition("://")
    port = int(place.rpartition(":")[2])
    with socket.create_connection((address.host, port), PATIENCE) as plain:
        line = plain
        if scheme == "tls":
            if context is None:
                raise OSError("no certificates: give --dask-ca, --dask-cert and --dask-key")
            line = context.wrap_socket(plain, server_hostname=address.host)
        with line:
            if not line.recv(1):
                raise ConnectionError("what listens there hangs up at once: it speaks TLS, or no Dask at all")

"""From `--cache http(s)://…` to a server that can be asked. Connects to nothing yet."""

from __future__ import annotations

from collections.abc import Mapping

from f0make import __version__
from f0make.cache.http.credentials import authorization
from f0make.cache.http.http_client import TIMEOUT, Client
from f0make.cache.http.remote_store import Server
from f0make.cache.http.server_address import parse_address
from f0make.errors import UsageError

PATIENCE = "F0MAKE_CACHE_TIMEOUT"
"""Variable with the seconds after which an answer counts as none (default: `client.TIMEOUT`)."""


def open_server(text: str, environ: Mapping[str, str], readonly: bool = False) -> Server:
    """The server at the address ``text``, with the credentials of ``environ``. Raises UsageError."""
    address = parse_address(text)
    login, note = authorization(address, environ)
    headers = {"User-Agent": f"f0make/{__version__}"}
    if login is not None:
        headers["Authorization"] = login
    server = Server(Client(address, headers, _patience(environ)), readonly)
    if note is not None:
        server.say("login", note)
    return server


def _patience(environ: Mapping[str, str]) -> float:
    text = environ.get(PATIENCE, "")
    if not text:
        return TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise UsageError(f"{PATIENCE}={text}: expected seconds, such as 5")
    return seconds

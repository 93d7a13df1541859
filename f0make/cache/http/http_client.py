"""Requests to one server: kept-alive connections, one for each thread, with a limit in time for each request."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from f0make.cache.http.http_errors import Trouble
from f0make.cache.http.request_deadline import Deadlines, Limited
from f0make.cache.http.server_address import Address, parse_address
from f0make.errors import UsageError

if TYPE_CHECKING:
    import ssl
    from typing import TypeAlias

TIMEOUT = 5.0
"""Seconds: for finding and reaching the server, and again for an answer to begin."""
SLOWEST = 128 << 10
"""Bytes a second that a body must come or go with on the whole, beyond `TIMEOUT`."""
MOST_HOPS = 5
"""Redirections that are followed."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 1 << 17
_REST = 64 << 10
"""Bytes; an unwanted body is read up to this size to save the connection."""

Body: TypeAlias = "bytes | Callable[[], Iterable[bytes]]"
"""What a PUT sends: bytes, or what makes them (once more for every try)."""


class Reply:
    """The answer to a request; what is not read of its body costs the connection."""

    def __init__(self, response: http.client.HTTPResponse, line: _Line) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._line = line

    @property
    def length(self) -> int | None:
        """What `Content-Length` says, None when it says nothing."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isdecimal() and text.isascii() and len(text) < 19 else None

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece. Raises Trouble when it is cut off, or too slow."""
        while True:
            try:
                data = self._response.read(_CHUNK)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise self._line.trouble(error) from None
            if not data:
                break
            self._line.grant(len(data))
            yield data
        if self._response.length:  # `read` ends quietly where the connection did
            raise self._line.trouble(http.client.IncompleteRead(b"", self._response.length))

    def read(self, most: int) -> bytes:
        """The whole body. Raises Trouble, also when it is longer than ``most`` bytes."""
        found = bytearray()
        for data in self.chunks():
            found += data
            if len(found) > most:
                raise Trouble("too-long", f"{self._line.address} answered with more than {most} bytes")
        return bytes(found)

    def finish(self) -> bool:
        """Read what is left, where that is little; whether the connection can be used again."""
        response = self._response
        if not response.isclosed() and (response.length or 0) <= _REST:
            try:
                response.read(_REST + 1)
                response.read(0 if response.length else 1)
            except (OSError, http.client.HTTPException, ValueError):
                return False
        return response.isclosed() and not response.length


class _Connection(http.client.HTTPConnection):
    """A connection to addresses that are already known, over TLS where ``context`` is given."""

    def __init__(
        self, line: _Line, where: list[tuple[int, tuple[object, ...]]], context: ssl.SSLContext | None
    ):
        super().__init__(line.address.host, line.address.port, timeout=line.timeout, blocksize=_CHUNK)
        self.default_port = 443 if line.address.secure else 80
        self._line, self._where, self._context = line, where, context

    def connect(self) -> None:
        error: OSError | None = None
        for family, target in self._where:
            wire = socket.socket(family, socket.SOCK_STREAM)
            wire.settimeout(max(1.0, self._line.timeout / len(self._where)))
            try:
                wire.connect(target)
                wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                wire.settimeout(self._line.timeout)
                self._line.wire = wire
                if self._context is not None:
                    wire = self._context.wrap_socket(wire, server_hostname=self.host)
                    self._line.wire = wire
                self.sock = wire
                return
            except OSError as failed:
                wire.close()
                error = failed
                if self._line.wire is not None:
                    break  # it was reached; TLS went wrong
        raise Unreachable(error)


class Unreachable(OSError):
    """No connection came about; ``__cause__`` or the first argument says why."""


class _Line(Limited):
    """One thread's connection to one address, and the time that its request has left."""

    def __init__(self, client: Client, address: Address) -> None:
        self.address = address
        self.timeout = client.timeout
        self.connection: _Connection | None = None
        self.used = False
        """Whether a request went over the connection before: then it may have been closed meanwhile."""

    def grant(self, size: int) -> None:
        """``size`` bytes more went over the line: they may have taken a while."""
        if self.deadline is not None:
            self.deadline += size / SLOWEST

    def trouble(self, error: Exception) -> Trouble:
        """``error`` in words."""
        if self.expired or isinstance(error, TimeoutError):
            return Trouble("timeout", f"{self.address} did not answer in time")
        if isinstance(error, Unreachable):
            return self._unreachable(error.args[0])
        if isinstance(error, http.client.IncompleteRead):
            return Trouble("cut-off", f"{self.address} broke off an answer before its end")
        if isinstance(error, OSError):
            return Trouble("connection", f"the connection to {self.address} broke: {error.strerror or error}")
        return Trouble("protocol", f"{self.address} does not speak HTTP as expected ({type(error).__name__})")

    def _unreachable(self, error: Exception | None) -> Trouble:
        reason = getattr(error, "verify_message", None)
        if reason:
            hint = "SSL_CERT_FILE may name the certificate of its authority"
            return Trouble(
                "certificate", f"the certificate of {self.address} is not good: {reason} ({hint})", True
            )
        text = (
            "no answer in time"
            if isinstance(error, TimeoutError)
            else getattr(error, "strerror", None) or error
        )
        return Trouble("unreachable", f"{self.address} cannot be reached: {text}", True)

    def close(self) -> None:
        """Give the connection up."""
        self.deadline = None
        if self.connection is not None:
            self.connection.close()
        self.connection = self.wire = None
        self.used = self.expired = False


class Client:
    """Sends requests to what lies below ``address``; may be used by any number of threads.

    ``headers`` go to this server only, not to where it redirects. ``timeout`` is in seconds.
    """

    def __init__(self, address: Address, headers: Mapping[str, str], timeout: float = TIMEOUT) -> None:
        self.address = address
        self.timeout = timeout
        self._headers = dict(headers)
        self._local = threading.local()
        self._deadlines = Deadlines()
        self._places: dict[Address, list[tuple[int, tuple[object, ...]]]] = {}
        self._finding = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def close(self) -> None:
        """Cut what is still going on."""
        self._deadlines.close()

    @contextmanager
    def request(
        self, method: str, name: str, body: Body | None = None, size: int = 0, **headers: str
    ) -> Iterator[Reply]:
        """The answer to ``method`` for ``name``, below the address or from "/"; ``size`` is the body's in bytes.

        ``headers`` have underscores for hyphens. Raises Trouble.
        """
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        line, path = self._line_to(self.address), name if name[:1] == "/" else self.address.path + name
        for _ in range(MOST_HOPS + 1):
            reply = self._send(line, method, path, body, size, given)
            if reply.status not in _REDIRECTS or method not in ("GET", "HEAD", "PUT"):
                break
            line, path = self._follow(reply, line, path, method)
        else:
            raise Trouble("redirect", f"{self.address} redirects in circles")
        try:
            yield reply
        finally:
            whole = reply.finish()
            line.deadline = None
            if not whole or line.expired:
                line.close()

    def _follow(self, reply: Reply, line: _Line, path: str, method: str) -> tuple[_Line, str]:
        """Where a redirection leads. Raises Trouble where it must not be followed."""
        line.close()
        origin = f"{line.address.host}"
        base = str(Address(line.address.secure, line.address.host, line.address.port, "/"))
        try:
            target = parse_address(urljoin(base[:-1] + path, reply.headers.get("Location", "").split("?")[0]))
        except (UsageError, ValueError):
            raise Trouble("redirect", f"{origin} redirects to an address that cannot be used") from None
        query = reply.headers.get("Location", "").partition("?")[2].partition("#")[0]
        if self.address.secure and not target.secure:
            raise Trouble("redirect", f"{self.address} redirects to an address without TLS")
        here = Address(target.secure, target.host, target.port, self.address.path)
        if method == "PUT" and (reply.status not in (307, 308) or here != self.address):
            raise Trouble("redirect", f"{self.address} redirects what is sent to it")
        return self._line_to(here), target.path.rstrip("/") + (f"?{query}" if query else "")

    def _send(
        self, line: _Line, method: str, path: str, body: Body | None, size: int, given: Mapping[str, str]
    ) -> Reply:
        headers = {"Connection": "keep-alive", **given}
        if line.address == self.address:
            headers.update(self._headers)
        if body is not None:
            headers["Content-Length"] = str(size)
        while True:
            fresh = not line.used
            if line.connection is None:
                line.connection = _Connection(line, self._place(line.address), self._tls(line.address))
            line.expired, line.deadline = False, time.monotonic() + 2 * self.timeout + size / SLOWEST
            try:
                try:
                    line.connection.request(method, path, body() if callable(body) else body, headers)
                except (BrokenPipeError, ConnectionResetError):
                    if line.connection.sock is None:
                        raise
                    # It may have said why before it hung up.
                line.wire = line.connection.sock
                response = line.connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                expired = line.expired
                trouble = line.trouble(error)
                line.close()
                stale = isinstance(error, (ConnectionError, http.client.RemoteDisconnected))
                if fresh or expired or not stale or isinstance(error, Unreachable):
                    raise trouble from None
                continue  # the server had closed an idle connection
            except BaseException:
                line.close()
                raise
            line.used = True
            return Reply(response, line)

    def _line_to(self, address: Address) -> _Line:
        lines: dict[Address, _Line] | None = getattr(self._local, "lines", None)
        if lines is None:
            lines = self._local.lines = {}
        line = lines.get(address)
        if line is None:
            line = lines[address] = _Line(self, address)
            self._deadlines.watch(line)
        return line

    def _place(self, address: Address) -> list[tuple[int, tuple[object, ...]]]:
        """The socket addresses of ``address``; a resolver that hangs is not waited for. Raises Trouble."""
        with self._finding:
            if address not in self._places:
                found: list[object] = []
                thread = threading.Thread(target=_resolve, args=(address, found), daemon=True)
                thread.start()
                thread.join(self.timeout)
                if not found or isinstance(found[0], OSError):
                    why = (
                        found[0].strerror if found and isinstance(found[0], OSError) else "no answer in time"
                    )
                    raise Trouble("unreachable", f"{address} cannot be reached: {why}", True)
                self._places[address] = found[0]  # type: ignore[assignment]
            return self._places[address]

    def _tls(self, address: Address) -> ssl.SSLContext | None:
        if not address.secure:
            return None
        if self._context is None:
            import ssl

            self._context = ssl.create_default_context()
        return self._context


def _resolve(address: Address, found: list[object]) -> None:
    try:
        entries = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        found.append([(family, target) for family, _, _, _, target in entries])
    except (OSError, UnicodeError) as error:
        found.append(error if isinstance(error, OSError) else OSError(0, "no such host"))

"""Another way to a host: a TCP proxy in a thread that counts, cuts, stalls, slows down and corrupts."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time

from .host import Host
from .keys import known

CHUNK = 65536


class _Pipe:
    """One connection: two sockets, and what waits to be written to each."""

    def __init__(self, here: socket.socket, there: socket.socket) -> None:
        self.here, self.there = here, there
        self.waiting: dict[socket.socket, bytearray] = {here: bytearray(), there: bytearray()}
        self.ended: set[socket.socket] = set()
        self.passed = {"sent": 0, "received": 0}
        self.stalled = False

    def other(self, one: socket.socket) -> socket.socket:
        return self.there if one is self.here else self.here


class Proxy:
    """Listens on a loopback port and passes on to ``host``; every switch may be thrown at any time.

    It has the name, user and layout of that host, so that it can stand for it in a hosts file.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.target = (host.address, host.port)
        self.name, self.user, self.layout = host.name, host.user, host.layout
        self.address = "127.0.0.1"
        self.sent = 0
        """Bytes from here to the target."""
        self.received = 0
        self.connections = 0
        self.rate: float | None = None
        """Bytes a second each way, None: as they come."""
        self.stall_at: int | None = None
        """Stall as soon as so many bytes were received."""
        self._stalled = False
        self._refusing = False
        self._flip = {"sent": -1, "received": -1}
        self._harm: tuple[str, str, int] | None = None
        self._pipes: list[_Pipe] = []
        self._lock = threading.RLock()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self._server.setblocking(False)
        self.port: int = self._server.getsockname()[1]
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def known(self) -> str:
        """The lines of a known_hosts file for this way."""
        return known(self.address, self.port, self.host.public)

    @property
    def alive(self) -> int:
        """How many connections are open."""
        with self._lock:
            return len(self._pipes)

    def cut(self) -> None:
        """Reset every open connection, on both sides."""
        with self._lock:
            for pipe in self._pipes:
                self._drop(pipe, reset=True)
            self._pipes.clear()
        self._poke()

    def stall(self, on: bool = True) -> None:
        """Pass nothing on and read nothing, but keep connections open (new ones too)."""
        self._stalled = on
        self._poke()

    def refuse(self, on: bool = True) -> None:
        """Close new connections at once."""
        self._refusing = on

    def corrupt(self, way: str, after: int = 0) -> None:
        """Flip a bit of the byte that comes ``after`` that many more bytes; ``way``: "sent" or "received".

        A negative ``after`` takes it back.
        """
        self._flip[way] = after

    def harm(self, what: str, way: str, after: int) -> None:
        """What befalls every new connection once ``after`` bytes have passed that ``way`` ("sent" or "received").

        ``what`` is "cut" (reset), "stall" (that connection alone), "flip" (a bit of the next byte) or "" for nothing.
        """
        self._harm = (what, way, after) if what else None

    def close(self) -> None:
        """End everything."""
        self._closing = True
        self._poke()
        self._thread.join(5)
        with self._lock:
            for pipe in self._pipes:
                self._drop(pipe)
        for one in (self._server, self._wake, self._woken):
            one.close()

    def _poke(self) -> None:
        with contextlib.suppress(OSError):
            self._wake.send(b"x")

    @staticmethod
    def _drop(pipe: _Pipe, reset: bool = False) -> None:
        for one in (pipe.here, pipe.there):
            with contextlib.suppress(OSError):
                if reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()

    def _run(self) -> None:
        while not self._closing:
            with selectors.DefaultSelector() as wait:
                wait.register(self._woken, selectors.EVENT_READ)
                wait.register(self._server, selectors.EVENT_READ)
                if not self._stalled:
                    with self._lock:
                        self._register(wait)
                ready = wait.select(5.0)
            with self._lock:
                for key, events in ready:
                    if key.fileobj is self._woken:
                        with contextlib.suppress(OSError):
                            self._woken.recv(1024)
                    elif key.fileobj is self._server:
                        self._accept()
                    elif key.data in self._pipes and not self._stalled:
                        self._move(key.data, key.fileobj, events)

    def _register(self, wait: selectors.BaseSelector) -> None:
        for pipe in self._pipes:
            if pipe.stalled:
                continue
            for one in (pipe.here, pipe.there):
                wanted = 0
                if one not in pipe.ended and len(pipe.waiting[pipe.other(one)]) < 4 * CHUNK:
                    wanted |= selectors.EVENT_READ
                if pipe.waiting[one]:
                    wanted |= selectors.EVENT_WRITE
                if wanted:
                    wait.register(one, wanted, pipe)

    def _accept(self) -> None:
        try:
            here, _ = self._server.accept()
        except OSError:
            return
        self.connections += 1
        if self._refusing:
            here.close()
            return
        try:
            there = socket.create_connection(self.target, timeout=5.0)
        except OSError:
            here.close()
            return
        for one in (here, there):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pipes.append(_Pipe(here, there))

    def _move(self, pipe: _Pipe, one: object, events: int) -> None:
        assert isinstance(one, socket.socket)
        try:
            if events & selectors.EVENT_READ:
                data = one.recv(CHUNK)
                if not data:
                    pipe.ended.add(one)
                way = "sent" if one is pipe.here else "received"
                pipe.waiting[pipe.other(one)] += self._harmed(pipe, self._count(data, way), way)
            for side in (pipe.here, pipe.there):
                if pipe.waiting[side]:
                    with contextlib.suppress(BlockingIOError):
                        del pipe.waiting[side][: side.send(pipe.waiting[side])]
                elif pipe.other(side) in pipe.ended:
                    with contextlib.suppress(OSError):
                        side.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(pipe, reset=True)
            self._pipes.remove(pipe)
            return
        if len(pipe.ended) == 2 and not any(pipe.waiting.values()):
            self._drop(pipe)
            self._pipes.remove(pipe)

    def _harmed(self, pipe: _Pipe, data: bytes, way: str) -> bytes:
        """``data`` with what befalls this connection. Raises OSError to cut it."""
        before = pipe.passed[way]
        pipe.passed[way] += len(data)
        if self._harm is None or self._harm[1] != way or not before <= self._harm[2] < pipe.passed[way]:
            return data
        what, left = self._harm[0], self._harm[2] - before
        if what == "flip":
            return data[:left] + bytes([data[left] ^ 1]) + data[left + 1 :]
        if what == "cut":
            raise ConnectionResetError
        pipe.stalled = True
        return data[:left]

    def _count(self, data: bytes, way: str) -> bytes:
        setattr(self, way, getattr(self, way) + len(data))
        if self.stall_at is not None and self.received >= self.stall_at:
            self._stalled = True
        if self.rate:
            time.sleep(len(data) / self.rate)
        left = self._flip[way]
        if 0 <= left < len(data):
            data = data[:left] + bytes([data[left] ^ 1]) + data[left + 1 :]
            self._flip[way] = -1
        elif left >= 0:
            self._flip[way] = left - len(data)
        return data

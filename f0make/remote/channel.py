"""The one channel to a host's agent: a thread that sends, and what has arrived."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from f0make.remote.connection import Connection

_READ = 16 << 20
"""Bytes; as many as a host may send ahead, because paramiko moves all that is left in its buffer after each read."""
_TAIL = 4000
_BATCH = 128 << 10
_PACKET = (32 << 10) - 64
"""Bytes; OpenSSH takes packets of 32 KiB, paramiko leaves room for what stands around them."""


class Channel:
    """A command's streams. What is sent waits in two queues: messages, and contents behind them."""

    def __init__(self, connection: Connection, command: str, timeout: float) -> None:
        """Start ``command``. Raises paramiko's SSHException."""
        self.connection = connection
        self._channel = connection.transport.open_session(timeout=timeout)
        self._channel.settimeout(timeout)
        self._channel.exec_command(command)
        self.sent = self.received = len(command)
        """Bytes."""
        self.received = 0
        self._said = b""
        self._messages: deque[bytes] = deque()
        self._streams: deque[Iterator[bytes]] = deque()
        self._more = threading.Condition()
        self._closed = False
        self._broken: Callable[[], None] = lambda: None

    # While the agent is started: one thread, both directions.

    def send(self, data: bytes) -> None:
        """Send all of ``data`` now. Raises OSError."""
        self.sent += len(data)
        self._channel.sendall(data)

    def receive(self, timeout: float) -> bytes:
        """What has arrived, waiting for it; b"" at the end. Raises TimeoutError."""
        self._channel.settimeout(timeout)
        data: bytes = self._channel.recv(_READ)
        self.received += len(data)
        return data

    def complaint(self) -> str:
        """What was said on standard error, its last line."""
        if not self._channel.closed:
            self._channel.status_event.wait(0.5)
        while self._channel.recv_stderr_ready():
            self._said = (self._said + self._channel.recv_stderr(_READ))[-_TAIL:]
        lines = self._said.decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    # While it runs.

    def run(self, broken: Callable[[], None]) -> None:
        """Send from a thread from now on; ``broken`` is called from it when the connection breaks."""
        self._broken = broken
        self._channel.settimeout(None)
        threading.Thread(target=self._sender, name="f0make-send", daemon=True).start()

    def fileno(self) -> int:
        """A descriptor that is readable when there is something to `take`."""
        return int(self._channel.fileno())

    def take(self) -> bytes | None:
        """What has arrived; b"" for nothing, None when the other end is gone."""
        channel: Any = self._channel
        while channel.recv_stderr_ready():
            self._said = (self._said + channel.recv_stderr(_READ))[-_TAIL:]
        if channel.recv_ready():
            data: bytes = channel.recv(_READ)
            self.received += len(data)
            return data
        if channel.eof_received or channel.closed or not self.connection.transport.is_active():
            # Data that came with the end may have arrived between the two looks.
            return channel.recv(_READ) if channel.recv_ready() else None
        return b""

    def post(self, message: bytes) -> None:
        """Send ``message`` before any content that waits; returns at once."""
        with self._more:
            self._messages.append(message)
            self._more.notify()

    def stream(self, pieces: Iterator[bytes]) -> None:
        """Send ``pieces`` when no message waits; they are asked for in the sending thread."""
        with self._more:
            self._streams.append(pieces)
            self._more.notify()

    def drop_streams(self) -> None:
        """Send no more contents."""
        with self._more:
            self._streams.clear()

    def close(self) -> None:
        """Close the connection: the agent ends everything and itself."""
        with self._more:
            self._closed = True
            self._more.notify()
        self.connection.close()

    def _send_all(self, data: bytes) -> None:
        """`sendall` in pieces of one packet each; paramiko's own copies all that is left after each of them."""
        view = memoryview(data)
        while view:
            view = view[self._channel.send(bytes(view[:_PACKET])) :]

    def _sender(self) -> None:
        try:
            while True:
                with self._more:
                    while not (self._messages or self._streams or self._closed):
                        self._more.wait()
                    if self._closed:
                        return
                    data = b""
                    while self._messages and len(data) < _BATCH:
                        data += self._messages.popleft()
                    pieces = self._streams[0] if not data else None
                if pieces is not None:
                    piece = next(pieces, None)
                    if piece is None:
                        with self._more:
                            if self._streams and self._streams[0] is pieces:
                                self._streams.popleft()
                        continue
                    data = piece
                self.sent += len(data)
                self._send_all(data)
        except (OSError, EOFError):
            self._broken()
